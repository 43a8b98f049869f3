import Foundation
import Primitives
import Testing
import Tracing

@testable import SpanExport

@Suite("Sampling of traces")
struct SamplerTests {
  @Test("a ratio of 0 takes none, of 1 all, and of a tenth about a tenth: of random ids and of UUIDs alike")
  func ratio() {
    let traces = (0..<4_000).map { _ in TraceContext() } + (0..<4_000).map { _ in TraceContext(of: UUID()) }
    func count(_ ratio: Double, _ part: ArraySlice<TraceContext>) -> Int {
      part.count { TraceSampler(ratio: ratio).samples($0) }
    }
    #expect(count(0, traces[...]) == 0 && count(1, traces[...]) == 8_000)
    // Six standard deviations around 400.
    for part in [traces[..<4_000], traces[4_000...]] { #expect((286...514).contains(count(0.1, part))) }
  }

  @Test("what a smaller ratio takes, a larger one takes as well")
  func nested() {
    for _ in 0..<1_000 {
      let trace = TraceContext()
      if TraceSampler(ratio: 0.2).samples(trace) { #expect(TraceSampler(ratio: 0.7).samples(trace)) }
    }
  }

  @Test("a trace that another service has begun keeps its decision, and one made of a review's id gets the ratio's")
  func parents() throws {
    let kept = try Recorder(ratio: 0)
    let foreign = TraceContext()
    kept.span("a", in: foreign).end()
    var unwanted = TraceContext()
    unwanted.isSampled = false
    kept.span("b", in: unwanted).end()
    kept.span("c", in: TraceContext(of: UUID())).end()
    kept.span("d", in: nil).end()
    #expect(kept.spans.map(\.name) == ["a"] && kept.spans[0].parentID == foreign.spanID)

    let all = try Recorder(ratio: 1)
    all.span("b", in: unwanted).end()
    all.span("c", in: TraceContext(of: UUID())).end()
    all.span("d", in: nil).end()
    // No span has the id that a review's own trace begins with.
    #expect(all.spans.map(\.name) == ["c", "d"] && all.spans.allSatisfy { $0.parentID == nil })
  }
}

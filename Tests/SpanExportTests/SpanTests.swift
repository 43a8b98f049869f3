import Foundation
import Primitives
import Spans
import Testing
import Tracing

@testable import SpanExport

@Suite("Spans")
struct SpanTests {
  private struct Fault: Error {}

  @Test("a span is the parent of those in its body, and of what its context is sent to")
  func parents() async throws {
    let recorder = try Recorder()
    let received = await withTracer(recorder.tracer) {
      await withSpan(.intake, in: nil, [SpanKey.route: "/api/reviews"]) { outer in
        await withChildSpan(.callPlatform) { $0?.set([SpanKey.statusCode: 200]) }
        return TraceContext(traceparent: outer.context.traceparent)
      }
    }
    let received2 = try #require(received)
    withTracer(recorder.tracer) { startSpan(.dispatch, in: received2)?.end() }
    let (intake, call, dispatch) = (
      try recorder.only(.intake), try recorder.only(.callPlatform), try recorder.only(.dispatch)
    )
    #expect(intake.parentID == nil && intake.kind == .server && intake.context == received2)
    #expect(call.parentID == intake.context.spanID && dispatch.parentID == intake.context.spanID)
    #expect(Set(recorder.spans.map(\.context.traceID)).count == 1)
    #expect(Set(recorder.spans.map(\.context.spanID)).count == 3)
    #expect(intake.attributes.get(SpanKey.route) == "/api/reviews" && call.attributes.get(SpanKey.statusCode) == 200)
    #expect(recorder.spans.allSatisfy { $0.endNanoseconds >= $0.startNanoseconds && $0.status == nil })
  }

  @Test("what a body throws fails its span with the error's type, never with its text")
  func failure() async throws {
    let recorder = try Recorder()
    await #expect(throws: Fault.self) {
      try await withTracer(recorder.tracer) { try await withSpan(.prepare, in: TraceContext()) { _ in throw Fault() } }
    }
    let span = try recorder.only(.prepare)
    #expect(span.status == SpanStatus(code: .error, message: "Fault"))
    #expect(span.attributes.get(SpanKey.errorType) == "Fault")
  }

  @Test("without a tracer the body runs once with the parent's context, and no attribute is made")
  func off() async {
    let parent = TraceContext()
    func made() -> SpanAttributes {
      Issue.record("attributes were made")
      return [:]
    }
    let context = await withSpan(.dispatch, in: parent, made()) { span in
      span.set(made())
      return span.context
    }
    #expect(context == parent)
    await TraceContext.$current.withValue(parent) {
      await withChildSpan(.callPlatform, made()) { $0?.set(made()) }
    }
  }

  @Test("a trace that is not sampled is passed on as such, and costs no attribute")
  func unsampled() async throws {
    let recorder = try Recorder(ratio: 0)
    let context = await withTracer(recorder.tracer) { await withSpan(.intake, in: nil) { $0.context } }
    #expect(!context.isSampled && context.traceparent.hasSuffix("-00"))
    withTracer(recorder.tracer) { recordSpan(.claim, in: context, since: .now) }
    #expect(recorder.spans.isEmpty)
  }

  @Test("a span that was begun in the past has that beginning, and links refer to other traces")
  func past() throws {
    let recorder = try Recorder()
    withTracer(recorder.tracer) {
      let start = SpanStart.now
      let batch = startSpan(.claimBatch, in: nil, at: start)
      let claim = startSpan(.claim, in: TraceContext(), at: start)
      if let batch, let claim { batch.link(to: claim.context) }
      claim?.end()
      batch?.end()
    }
    let (batch, claim) = (try recorder.only(.claimBatch), try recorder.only(.claim))
    #expect(batch.links == [claim.context] && batch.context.traceID != claim.context.traceID)
    #expect(batch.startNanoseconds == claim.startNanoseconds)
  }

  @Test("a span has bounds: events and links beyond them are counted, and an end counts once")
  func bounds() throws {
    let recorder = try Recorder()
    let span = recorder.span("a", in: nil)
    for index in 0..<200 {
      span.addEvent(SpanEvent(name: "event \(index)"))
      span.addLink(SpanLink(context: recorder.span("b", in: nil).context, attributes: [:]))
    }
    span.end()
    span.end()
    #expect(recorder.spans.count == 1 && !span.isRecording)
    let record = recorder.spans[0]
    #expect(record.events.count == 8 && record.droppedEventCount == 192)
    #expect(record.links.count == 128 && record.droppedLinkCount == 72)
  }

  @Test("every name is different, and its attributes are none of an error's text, a query or a body")
  func names() {
    #expect(Set(SpanName.allCases.map(\.rawValue)).count == SpanName.allCases.count)
    for name in SpanName.allCases {
      #expect(Set(name.attributes).count == name.attributes.count, "\(name)")
      #expect(name.attributes.allSatisfy { !$0.contains("message.") && !$0.contains("query") && !$0.contains("full") })
    }
  }
}

import FoundationEssentials
import Primitives
import Reviews
import Testing

@Suite("Text forms")
struct TextFormTests {
  @Test("an id is written as Foundation writes it, but lower case, and reads back in either case")
  func identifiers() {
    for _ in 0..<100 {
      let id = UUID()
      #expect(id.lowercase == id.uuidString.lowercased())
      #expect(UUID(text: id.lowercase) == id)
      #expect(UUID(text: id.uuidString) == id)
    }
  }

  @Test(
    "what is not an id is not read",
    arguments: [
      "", "0b9d4a52", "0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5", "0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5cc",
      "0b9d4a52+8c1e-4f4e-9c55-0d1e2f3a4b5c", "0b9d4a528-c1e-4f4e-9c55-0d1e2f3a4b5c",
      "0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5g", "0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5é",
    ])
  func notIdentifiers(text: String) {
    #expect(UUID(text: text) == nil)
  }

  @Test("a trace context is read from its header, and written back with the same ids")
  func trace() throws {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let trace = try #require(TraceContext(traceparent: header))
    #expect(trace.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(trace.spanID == "00f067aa0ba902b7")
    #expect(trace.traceparent == header)
    #expect(trace.child().traceID == trace.traceID)
    #expect(trace.child().spanID != trace.spanID)
    #expect(TraceContext(traceparent: TraceContext().traceparent) != nil)
    #expect(TraceContext(traceparent: "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later") != nil)
  }

  @Test("ids that begin with zeros keep them in every text")
  func leadingZeros() throws {
    let header = "00-0000000000000000000000000000000a-000000000000000b-00"
    let trace = try #require(TraceContext(traceparent: header))
    #expect(trace.traceID == "0000000000000000000000000000000a" && trace.spanID == "000000000000000b")
    #expect(trace.traceparent == header)
  }

  @Test("a trace that is not recorded stays so: its flag is passed on")
  func unsampled() throws {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    #expect(try #require(TraceContext(traceparent: header)).child().traceparent.hasSuffix("-00"))
    // Of the flags only this one is known.
    #expect(try #require(TraceContext(traceparent: header.dropLast(2) + "ff")).traceparent.hasSuffix("-01"))
  }

  @Test(
    "a review without a trace has the one of its id, which is always a valid one",
    arguments: [
      "0b9d4a52-8c1e-4f4e-9c55-0d1e2f3a4b5c", "0b9d4a52-8c1e-4f4e-0000-000000000000",
      "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000000",
    ])
  func traceOfID(text: String) throws {
    let id = try #require(UUID(text: text))
    let trace = TraceContext(of: id)
    #expect(TraceContext(traceparent: trace.traceparent) == trace)
    if !text.allSatisfy({ "0-".contains($0) }) { #expect(trace == TraceContext(of: id)) }
  }

  @Test(
    "a malformed trace context is not read",
    arguments: [
      "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ])
  func notTrace(header: String) {
    #expect(TraceContext(traceparent: header) == nil)
  }
}

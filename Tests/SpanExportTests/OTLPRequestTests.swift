import Foundation
import Primitives
import Testing
import Tracing

@testable import SpanExport

@Suite("OTLP in JSON")
struct OTLPRequestTests {
  private func encoded(_ spans: [SpanRecord]) throws -> JSONValue {
    let body = try JSONEncoder().encode(OTLPRequest(spans, resource: ["service.name": "baton-test"], version: "1"))
    return try JSONDecoder().decode(JSONValue.self, from: body)
  }

  private func span() throws -> SpanRecord {
    let trace = try #require(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    return SpanRecord(
      name: "publish", kind: .producer, context: trace, parentID: "0102030405060708",
      startNanoseconds: 1_700_000_000_000_000_001, endNanoseconds: 1_700_000_000_000_000_002)
  }

  private func first(_ value: JSONValue) throws -> [String: JSONValue] {
    guard case .object(let request) = value, case .array(let resources)? = request["resourceSpans"],
      case .object(let resource)? = resources.first, case .array(let scopes)? = resource["scopeSpans"],
      case .object(let scope)? = scopes.first, case .array(let spans)? = scope["spans"],
      case .object(let span)? = spans.first
    else { throw CancellationError() }
    return span
  }

  @Test("ids are hexadecimal, times decimal text, kinds and codes numbers, as the JSON of protobuf has them")
  func forms() throws {
    var record = try span()
    record.status = SpanStatus(code: .error, message: "worker_rejected")
    let span = try first(try encoded([record]))
    #expect(
      span["traceId"] == .string("4bf92f3577b34da6a3ce929d0e0e4736") && span["spanId"] == .string("00f067aa0ba902b7"))
    #expect(span["parentSpanId"] == .string("0102030405060708") && span["kind"] == .integer(4))
    #expect(span["startTimeUnixNano"] == .string("1700000000000000001"))
    #expect(span["status"] == .object(["code": .integer(2), "message": .string("worker_rejected")]))
    record.parentID = nil
    #expect(try first(try encoded([record]))["parentSpanId"] == nil)
  }

  @Test(
    "each type of value has its member",
    arguments: [
      (SpanAttribute.string("a"), JSONValue.object(["stringValue": .string("a")])),
      (.bool(true), .object(["boolValue": .bool(true)])),
      (.int64(.max), .object(["intValue": .string("9223372036854775807")])),
      (.double(1.5), .object(["doubleValue": .number(1.5)])),
      (.double(.nan), .object(["doubleValue": .string("NaN")])),
      (.double(-.infinity), .object(["doubleValue": .string("-Infinity")])),
      (
        .stringArray(["a", "b"]),
        .object([
          "arrayValue": .object([
            "values": .array([.object(["stringValue": .string("a")]), .object(["stringValue": .string("b")])])
          ])
        ])
      ),
    ])
  func values(value: SpanAttribute, expected: JSONValue) throws {
    var record = try span()
    record.attributes = SpanAttributes(["a": value])
    #expect(
      try first(try encoded([record]))["attributes"]
        == .array([.object(["key": .string("a"), "value": expected])]))
  }

  @Test("long texts are cut, and attributes beyond the bound are counted")
  func bounds() throws {
    var record = try span()
    for index in 0..<40 { record.attributes["a\(index)"] = String(repeating: "x", count: 5_000) }
    let span = try first(try encoded([record]))
    guard case .array(let attributes)? = span["attributes"] else { throw CancellationError() }
    #expect(attributes.count == 32 && span["droppedAttributesCount"] == .integer(8))
    let length = try JSONEncoder().encode(JSONValue.array(attributes)).count
    #expect(length < 40_000)
  }
}

internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Synchronization

/// A collector of traces: takes `POST /v1/traces` in the JSON form of OTLP, and keeps the spans. What does not have that form, down to the
/// names of members, is a fault.
package final class SpanCollector: Sendable {
  /// A span as it came.
  package struct Span: Sendable {
    package var service: String
    package var name: String
    package var kind: Int
    package var traceID: String
    package var id: String
    package var parentID: String?
    package var start: UInt64
    package var end: UInt64
    package var attributes: [String: String]
    /// The spans that it refers to.
    package var links: [String]
    /// 0, 1 for good, 2 for failed.
    package var status: Int
  }

  private struct State {
    var spans: [Span] = []
    var faults: [String] = []
    var headers: [[(String, String)]] = []
  }

  private final class Store: Sendable {
    let state = Mutex(State())
  }

  private let store = Store()
  private let server: TestHTTPServer

  /// Listens on a free port of 127.0.0.1 when it returns.
  package init() async throws {
    server = try await TestHTTPServer { [store] head, body in
      .init(store.state.withLock { Self.take(head, body, &$0) }, body: #"{"partialSuccess":{}}"#)
    }
  }

  /// The base URL for exporters.
  package var url: String { server.url }

  /// Closes the port.
  package func stop() async { await server.stop() }

  /// What has come, in order.
  package var spans: [Span] { store.state.withLock { $0.spans } }
  /// What did not have the form.
  package var faults: [String] { store.state.withLock { $0.faults } }
  /// The headers of each request.
  package var headers: [[(String, String)]] { store.state.withLock { $0.headers } }

  /// - Returns: the status to answer with.
  private static func take(_ head: HTTPRequestHead, _ body: [UInt8], _ state: inout State) -> Int {
    state.headers.append(head.headers.map { ($0.name, $0.value) })
    do {
      guard head.method == .POST, head.uri == "/v1/traces" else { throw OTLPFault("\(head.method) \(head.uri)") }
      state.spans += try OTLPReader.spans(try JSONDecoder().decode(JSONValue.self, from: Data(body)))
      return 200
    } catch {
      state.faults.append("\(error)")
      return 400
    }
  }
}

/// What is no OTLP.
private struct OTLPFault: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Reads the JSON form of `ExportTraceServiceRequest`, and nothing else.
private enum OTLPReader {
  typealias Object = [String: JSONValue]

  static func spans(_ request: JSONValue) throws -> [SpanCollector.Span] {
    try list(try object(request, ["resourceSpans"])["resourceSpans"]).flatMap { item in
      let resource = try object(item, ["resource", "scopeSpans", "schemaUrl"])
      let attributes = try attributes(try object(resource["resource"], ["attributes"])["attributes"])
      return try list(resource["scopeSpans"]).flatMap { item in
        let scope = try object(item, ["scope", "spans", "schemaUrl"])
        _ = try object(scope["scope"], ["name", "version"])
        return try list(scope["spans"]).map { try span($0, service: attributes["service.name"] ?? "") }
      }
    }
  }

  private static func span(_ item: JSONValue, service: String) throws -> SpanCollector.Span {
    let span = try object(
      item,
      [
        "traceId", "spanId", "parentSpanId", "flags", "name", "kind", "startTimeUnixNano", "endTimeUnixNano",
        "attributes", "droppedAttributesCount", "events", "droppedEventsCount", "links", "droppedLinksCount", "status",
      ])
    let (start, end) = (try number(span["startTimeUnixNano"]), try number(span["endTimeUnixNano"]))
    guard start <= end else { throw OTLPFault("a span ends before it begins") }
    guard case .integer(let kind)? = span["kind"], (1...5).contains(kind) else { throw OTLPFault("a kind") }
    let status = try object(span["status"], ["code", "message"])
    guard case .integer(let code)? = status["code"], (0...2).contains(code) else { throw OTLPFault("a code") }
    return SpanCollector.Span(
      service: service, name: try text(span["name"]), kind: Int(kind), traceID: try id(span["traceId"], 32),
      id: try id(span["spanId"], 16), parentID: try span["parentSpanId"].map { try id($0, 16) }, start: start, end: end,
      attributes: try attributes(span["attributes"]),
      links: try list(span["links"]).map { try id(try object($0, ["traceId", "spanId", "flags"])["spanId"], 16) },
      status: Int(code))
  }

  private static func attributes(_ value: JSONValue?) throws -> [String: String] {
    try list(value).reduce(into: [:]) { attributes, item in
      let pair = try object(item, ["key", "value"])
      let value = try object(pair["value"], ["stringValue", "boolValue", "intValue", "doubleValue", "arrayValue"])
      guard value.count == 1 else { throw OTLPFault("a value with \(value.count) members") }
      attributes[try text(pair["key"])] =
        switch value.first?.value {
        case .string(let text): text
        case .bool(let flag): "\(flag)"
        case .number(let number): "\(number)"
        default: "…"
        }
    }
  }

  private static func object(_ value: JSONValue?, _ members: Set<String>) throws -> Object {
    guard case .object(let object)? = value else { throw OTLPFault("no object with \(members.sorted())") }
    guard members.isSuperset(of: object.keys) else {
      throw OTLPFault("unknown members \(Set(object.keys).subtracting(members).sorted())")
    }
    return object
  }

  private static func list(_ value: JSONValue?) throws -> [JSONValue] {
    guard case .array(let list)? = value else { throw OTLPFault("no list") }
    return list
  }

  private static func text(_ value: JSONValue?) throws -> String {
    guard case .string(let text)? = value, !text.isEmpty else { throw OTLPFault("no text") }
    return text
  }

  /// A 64-bit integer.
  private static func number(_ value: JSONValue?) throws -> UInt64 {
    guard let number = UInt64(try text(value)), number > 0 else { throw OTLPFault("no number in a text") }
    return number
  }

  private static func id(_ value: JSONValue?, _ length: Int) throws -> String {
    let id = try text(value)
    guard id.count == length, id.allSatisfy({ $0.isHexDigit && !$0.isUppercase }), id.contains(where: { $0 != "0" })
    else { throw OTLPFault("an id: \(id)") }
    return id
  }
}

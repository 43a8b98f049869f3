internal import FoundationEssentials
internal import Primitives
internal import Tracing

/// The body of `POST /v1/traces`: `ExportTraceServiceRequest` of OTLP 1.x, in the JSON form of protobuf.
///
/// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in lower camel case, ids as hexadecimal text, enumerations as
/// numbers, 64-bit integers as decimal text.
struct OTLPRequest: Encodable {
  var resourceSpans: [ResourceSpans]

  struct ResourceSpans: Encodable {
    var resource: Resource
    var scopeSpans: [ScopeSpans]
    var schemaUrl = OTLPRequest.schemaURL
  }

  struct Resource: Encodable {
    var attributes: [KeyValue]
  }

  struct ScopeSpans: Encodable {
    var scope: Scope
    var spans: [Span]
    var schemaUrl = OTLPRequest.schemaURL
  }

  struct Scope: Encodable {
    var name: String
    var version: String
  }

  struct Span: Encodable {
    var traceId: String
    var spanId: String
    var parentSpanId: String?
    var flags: UInt32
    var name: String
    var kind: Int
    var startTimeUnixNano: String
    var endTimeUnixNano: String
    var attributes: [KeyValue]
    var droppedAttributesCount: Int
    var events: [Event]
    var droppedEventsCount: Int
    var links: [Link]
    var droppedLinksCount: Int
    var status: Status
  }

  struct Event: Encodable {
    var timeUnixNano: String
    var name: String
    var attributes: [KeyValue]
  }

  struct Link: Encodable {
    var traceId: String
    var spanId: String
    var flags: UInt32
  }

  struct Status: Encodable {
    var code: Int
    var message: String?
  }

  struct KeyValue: Encodable {
    var key: String
    var value: Value
  }

  /// `AnyValue`: an object with one member, whose name is the type.
  enum Value: Encodable {
    case text(String)
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case list([Value])

    private enum Key: String, CodingKey { case stringValue, boolValue, intValue, doubleValue, arrayValue }
    private struct Values: Encodable { var values: [Value] }

    func encode(to encoder: any Encoder) throws {
      var object = encoder.container(keyedBy: Key.self)
      switch self {
      case .text(let text): try object.encode(text, forKey: .stringValue)
      case .flag(let flag): try object.encode(flag, forKey: .boolValue)
      case .integer(let integer): try object.encode(String(integer), forKey: .intValue)
      // JSON has no such numbers; protobuf writes them as text.
      case .number(let number) where number.isNaN: try object.encode("NaN", forKey: .doubleValue)
      case .number(let number) where number.isInfinite:
        try object.encode(number > 0 ? "Infinity" : "-Infinity", forKey: .doubleValue)
      case .number(let number): try object.encode(number, forKey: .doubleValue)
      case .list(let values): try object.encode(Values(values: values), forKey: .arrayValue)
      }
    }
  }

  /// The version of the semantic conventions whose names are used.
  static let schemaURL = "https://opentelemetry.io/schemas/1.36.0"
}

extension OTLPRequest {
  /// - Parameters:
  ///   - resource: what the process says about itself.
  ///   - version: of the program.
  init(_ spans: [SpanRecord], resource: SpanAttributes, version: String) {
    resourceSpans = [
      ResourceSpans(
        resource: Resource(attributes: KeyValue.list(resource).kept),
        scopeSpans: [ScopeSpans(scope: Scope(name: "baton", version: version), spans: spans.map { Span($0) })])
    ]
  }
}

extension OTLPRequest.Span {
  init(_ span: SpanRecord) {
    let (attributes, dropped) = OTLPRequest.KeyValue.list(span.attributes)
    self.init(
      traceId: span.context.traceID, spanId: span.context.spanID, parentSpanId: span.parentID,
      flags: OTLPRequest.sampled, name: span.name, kind: span.kind.number,
      startTimeUnixNano: String(span.startNanoseconds), endTimeUnixNano: String(span.endNanoseconds),
      attributes: attributes, droppedAttributesCount: dropped,
      events: span.events.map { OTLPRequest.Event($0) }, droppedEventsCount: span.droppedEventCount,
      links: span.links.map {
        OTLPRequest.Link(traceId: $0.traceID, spanId: $0.spanID, flags: $0.isSampled ? OTLPRequest.sampled : 0)
      },
      droppedLinksCount: span.droppedLinkCount, status: OTLPRequest.Status(span.status))
  }
}

extension OTLPRequest {
  /// Of W3C Trace Context.
  static let sampled: UInt32 = 1
}

extension OTLPRequest.Event {
  init(_ event: SpanEvent) {
    self.init(
      timeUnixNano: String(event.nanosecondsSinceEpoch), name: event.name,
      attributes: OTLPRequest.KeyValue.list(event.attributes).kept)
  }
}

extension OTLPRequest.Status {
  init(_ status: SpanStatus?) {
    switch status?.code {
    case nil: self.init(code: 0)
    case .ok: self.init(code: 1)
    case .error: self.init(code: 2, message: status?.message)
    }
  }
}

extension OTLPRequest.KeyValue {
  /// By name, within the bounds of a span.
  static func list(_ attributes: SpanAttributes) -> (kept: [Self], dropped: Int) {
    var all: [Self] = []
    attributes.forEach { name, value in
      if let value = OTLPRequest.Value(value) { all.append(Self(key: name, value: value)) }
    }
    let kept = all.sorted { $0.key < $1.key }.prefix(SpanRecord.attributeCountMax)
    return (Array(kept), attributes.count - kept.count)
  }
}

extension OTLPRequest.Value {
  init?(_ value: SpanAttribute) {
    switch value {
    case .int32(let value): self = .integer(Int64(value))
    case .int64(let value): self = .integer(value)
    case .double(let value): self = .number(value)
    case .bool(let value): self = .flag(value)
    case .string(let value): self = .text(value.cut)
    case .stringConvertible(let value): self = .text("\(value)".cut)
    case .int32Array(let values): self = .list(values.map { .integer(Int64($0)) })
    case .int64Array(let values): self = .list(values.map { .integer($0) })
    case .doubleArray(let values): self = .list(values.map { .number($0) })
    case .boolArray(let values): self = .list(values.map { .flag($0) })
    case .stringArray(let values): self = .list(values.map { .text($0.cut) })
    case .stringConvertibleArray(let values): self = .list(values.map { .text("\($0)".cut) })
    default: return nil
    }
  }
}

extension String {
  /// At most ``SpanRecord/textByteCountMax`` bytes of it.
  fileprivate var cut: String {
    guard utf8.count > SpanRecord.textByteCountMax else { return self }
    return String(decoding: utf8.prefix(SpanRecord.textByteCountMax), as: UTF8.self)
  }
}

extension SpanKind {
  /// `Span.SpanKind` of OTLP.
  fileprivate var number: Int {
    switch self {
    case .internal: 1
    case .server: 2
    case .client: 3
    case .producer: 4
    case .consumer: 5
    }
  }
}

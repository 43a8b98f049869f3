internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import Reviews

/// Takes typed fields out of a JSON object or a form, and collects what is wrong with them.
struct FieldReader {
  private let fields: [String: JSONValue]
  var faults: [String] = []

  /// - Parameter names: any other one is a fault.
  init(_ fields: [String: JSONValue], knowing names: [String]) {
    self.fields = fields
    faults = fields.keys.filter { !names.contains($0) }.sorted()
      .map { "unknown field \"\($0.prefix(40))\": expected \(names.joined(separator: ", "))" }
  }

  /// - Throws: `HTTPFault` 400 for what is no JSON object.
  static func json(_ call: Call, knowing names: [String]) async throws -> FieldReader {
    guard case .object(let fields)? = try? JSONValue(json: try await call.body()) else {
      throw HTTPFault.malformed("expected a JSON object with \(names.joined(separator: ", "))")
    }
    return FieldReader(fields, knowing: names)
  }

  /// Whether a field is there: null is a value.
  func has(_ name: String) -> Bool { fields[name] != nil }

  func value(_ name: String) -> JSONValue? { fields[name] == .null ? nil : fields[name] }

  /// A text; an empty one, as a form sends it, counts as missing.
  mutating func text(_ name: String, byteCountMax: Int = 512) -> String? {
    switch value(name) {
    case nil: return nil
    case .string(let text)? where text.isEmpty: return nil
    case .string(let text)? where text.utf8.count <= byteCountMax && !text.utf8.contains(0):
      return text
    case .some:
      faults.append("\(name): expected a text of at most \(byteCountMax) bytes")
      return nil
    }
  }

  /// A text that is not empty: in a filter, an empty one must not stand for everything.
  mutating func filledText(_ name: String, byteCountMax: Int = 512) -> String? {
    switch value(name) {
    case nil: return nil
    case .string(let text)? where !text.isEmpty && text.utf8.count <= byteCountMax && !text.utf8.contains(0):
      return text
    case .some:
      faults.append("\(name): expected a text of 1 to \(byteCountMax) bytes")
      return nil
    }
  }

  /// - Parameter expected: what to say of a text that cannot be parsed.
  mutating func parsed<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> Value? {
    guard let text = filledText(name) else { return nil }
    return required(name, parse(text), expected)
  }

  /// One text, or an array of texts.
  mutating func texts(_ name: String) -> [String] {
    guard case .array(let values)? = fields[name] else { return filledText(name).map { [$0] } ?? [] }
    let texts = values.compactMap(\.string)
    if texts.count < values.count { faults.append("\(name): expected texts") }
    return texts
  }

  mutating func count(_ name: String) -> Int? {
    switch value(name) {
    case nil: return nil
    case .integer(let number)? where number >= 0: return Int(number)
    case .some:
      faults.append("\(name): expected a whole number from 0")
      return nil
    }
  }

  mutating func required<Value>(_ name: String, _ value: Value?, _ expected: String) -> Value? {
    if value == nil { faults.append("\(name): \(expected)") }
    return value
  }

  mutating func secret(_ name: String) -> Secret? {
    text(name, byteCountMax: 16_384).map { Secret($0) }
  }

  /// An owner, as `{"type","id"}` or as `org:acme`.
  mutating func owner(_ name: String = "owner") -> Owner? {
    guard let value = value(name) else { return nil }
    let text: String?
    if case .object(let parts) = value, let type = parts["type"]?.string,
      let id = parts["id"]?.string
    {
      text = "\(type):\(id)"
    } else {
      text = value.string
    }
    guard let owner = text.flatMap({ $0.utf8.count <= 512 ? Owner($0) : nil }) else {
      faults.append("\(name): expected {\"type\": \"org\" or \"user\", \"id\"}")
      return nil
    }
    return owner
  }

  mutating func platform() -> Platform? {
    let platform = text("platform").flatMap { Platform(rawValue: $0) }
    return required("platform", platform, "expected github or gitlab")
  }

  mutating func flag(_ name: String) -> Bool? {
    switch value(name) {
    case nil: return nil
    case .bool(let flag)?: return flag
    case .some:
      faults.append("\(name): expected true or false")
      return nil
    }
  }

  /// - Throws: `HTTPFault` 422 with every fault.
  func check(_ what: String) throws(HTTPFault) {
    guard faults.isEmpty else {
      throw HTTPFault(.unprocessableContent, "not \(what)", faults: faults)
    }
  }
}

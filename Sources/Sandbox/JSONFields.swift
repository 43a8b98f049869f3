internal import FoundationEssentials
internal import NIOCore
internal import Primitives
internal import Reviews

/// Changes fields of a JSON object that is about to be sent.
enum JSONFields {
  /// - Parameter fields: the new values as JSON text, by name; a dot leads into an object, as in `head.sha`.
  static func replacing(_ fields: [String: String], in body: ByteBuffer) -> ByteBuffer {
    guard var object = try? JSONValue(json: Data(body.readableBytesView)) else {
      return body
    }
    for (path, text) in fields {
      guard let value = try? JSONValue(json: text) else { continue }
      object = set(path.split(separator: ".").map(String.init)[...], to: value, in: object)
    }
    return (try? JSONEncoder().encode(object)).map { ByteBuffer(bytes: $0) } ?? body
  }

  private static func set(_ path: ArraySlice<String>, to value: JSONValue, in object: JSONValue) -> JSONValue {
    guard let name = path.first else { return value }
    guard case .object(var fields) = object else { return object }
    fields[name] = set(path.dropFirst(), to: value, in: fields[name] ?? .object([:]))
    return .object(fields)
  }
}

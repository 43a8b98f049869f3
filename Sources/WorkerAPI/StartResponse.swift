package import FoundationEssentials
internal import Primitives
internal import Reviews

/// The answer 202 of `POST /review`: the present status of the run, whether this start began it or an earlier one did.
package struct StartResponse: Sendable, Codable, Equatable {
  package var reviewId: UUID
  package var status: RunState
  package var agentVersion: String?

  package init(reviewId: UUID, status: RunState, agentVersion: String? = nil) {
    self.reviewId = reviewId
    self.status = status
    self.agentVersion = agentVersion
  }

  /// Reads an answer.
  /// - Returns: nil if the body is not the contract's JSON.
  package init?(json: [UInt8]) {
    if let response = StartResponse(ownForm: json) {
      self = response
    } else if String(validating: json, as: UTF8.self) != nil,
      let response = try? JSONCoding.decode(StartResponse.self, from: json, repairingText: true)
    {
      self = response
    } else {
      return nil
    }
  }

  /// The JSON text, in the form that ``init(json:)`` reads fastest.
  package func encode() -> [UInt8] {
    var json = JSONWriter(capacity: 128)
    json.beginObject()
    json.field("reviewId", reviewId.lowercase)
    json.field("status", status.rawValue)
    json.optionalField("agentVersion", agentVersion)
    json.endObject()
    return json.bytes
  }

  /// Reads an object of plain strings without a JSON parser: nearly every answer is one. nil for any other form.
  private init?(ownForm json: [UInt8]) {
    var scanner = PlainObjectScanner(json)
    var reviewID: UUID?
    var status: RunState?
    var agentVersion: String?
    while let (name, value) = scanner.next() {
      switch name {
      case "reviewId": reviewID = UUID(text: value)
      case "status" where !value.isEmpty: status = RunState(rawValue: value)
      case "agentVersion": agentVersion = value
      default: break
      }
    }
    guard scanner.isComplete, let reviewID, let status else { return nil }
    self.init(reviewId: reviewID, status: status, agentVersion: agentVersion)
  }
}

/// Reads `{"name":"value",…}` where no string has an escape, with blanks or without.
private struct PlainObjectScanner {
  private let json: [UInt8]
  private var position = 0
  private var isFirst = true
  /// Whether the object was read to its end, and nothing but blanks follows it.
  private(set) var isComplete = false

  init(_ json: [UInt8]) { self.json = json }

  mutating func next() -> (name: String, value: String)? {
    if isFirst {
      guard take(UInt8(ascii: "{")) else { return nil }
    } else if take(UInt8(ascii: "}")) {
      skipBlanks()
      isComplete = position == json.count
      return nil
    } else if !take(UInt8(ascii: ",")) {
      return nil
    }
    isFirst = false
    guard let name = string(), take(UInt8(ascii: ":")), let value = string() else { return nil }
    return (name, value)
  }

  private mutating func skipBlanks() {
    while position < json.count, [0x20, 0x09, 0x0A, 0x0D].contains(json[position]) { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipBlanks()
    guard position < json.count, json[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func string() -> String? {
    guard take(UInt8(ascii: "\"")) else { return nil }
    let start = position
    while position < json.count, json[position] != UInt8(ascii: "\"") {
      guard json[position] >= 0x20, json[position] != UInt8(ascii: "\\") else { return nil }
      position += 1
    }
    guard position < json.count, let text = String(validating: json[start..<position], as: UTF8.self) else {
      return nil
    }
    position += 1
    return text
  }
}

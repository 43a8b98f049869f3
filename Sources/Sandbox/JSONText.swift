/// JSON as text: enough to make it compact and to take a list apart, in the order of its fields.
enum JSONText {
  /// Without the white space between tokens.
  static func compact(_ json: String) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(json.utf8.count)
    var scanner = Scanner()
    for byte in json.utf8 where scanner.isInString(after: byte) || ![0x20, 0x09, 0x0A, 0x0D].contains(byte) {
      result.append(byte)
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The elements of a compact list.
  static func elements(_ list: String) -> [String] {
    var elements: [String] = []
    var current: [UInt8] = []
    var depth = 0
    var scanner = Scanner()
    for byte in list.utf8.dropFirst().dropLast() {
      if !scanner.isInString(after: byte) {
        if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") { depth += 1 }
        if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") { depth -= 1 }
        if byte == UInt8(ascii: ",") && depth == 0 {
          elements.append(String(decoding: current, as: UTF8.self))
          current = []
          continue
        }
      }
      current.append(byte)
    }
    if !current.isEmpty { elements.append(String(decoding: current, as: UTF8.self)) }
    return elements
  }

  /// A text as a JSON string, without its quotes.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case _ where scalar.value < 0x20:
        result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Knows where strings begin and end.
  private struct Scanner {
    private var isInside = false
    private var isEscaped = false

    /// Whether a byte is part of a string; its opening quote counts, its closing one does not.
    mutating func isInString(after byte: UInt8) -> Bool {
      guard isInside else {
        isInside = byte == UInt8(ascii: "\"")
        return isInside
      }
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isInside = false
      }
      return isInside
    }
  }
}

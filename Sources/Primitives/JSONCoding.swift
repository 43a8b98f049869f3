package import FoundationEssentials

/// JSON between Baton and others, one way for all of it: texts of others are read within bounds, and what Baton writes looks the same everywhere.
package enum JSONCoding {
  /// Reads a value of a type, within the bounds of ``JSONValue/init(json:valueCountMax:repairingText:)``.
  /// - Throws: `DecodingError`; with an empty coding path where the text is not JSON, or beyond the bounds.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from json: some ContiguousBytes, repairingText: Bool = false
  ) throws -> Value {
    let value: JSONValue
    do throws(JSONFault) {
      value = try JSONValue(json: json, repairingText: repairingText)
    } catch {
      throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "\(error)"))
    }
    return try JSONValueDecoder(value: value, codingPath: []).decode(type)
  }

  /// One line, without a newline: keys sorted, slashes plain, so that the same value has the same text. What a terminal would obey or not
  /// show stands there as `\u…`, which is the same value to every reader of JSON.
  /// - Throws: `EncodingError`, for a number that JSON does not have.
  package static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(value)
    // Plain ASCII without DEL, as nearly always.
    if data.allSatisfy({ $0 < 0x7F }) { return data }
    return Data(escapingHidden(String(decoding: data, as: UTF8.self)).utf8)
  }

  /// - Parameter json: JSON, in which such characters stand only within strings.
  package static func escapingHidden(_ json: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in json.unicodeScalars {
      if scalar.isHidden {
        result.append(contentsOf: escaped(scalar).unicodeScalars)
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// A character as JSON writes it without the character itself: one `\u…`, or two.
  package static func escaped(_ scalar: Unicode.Scalar) -> String {
    (UTF16.encode(scalar) ?? UTF16.EncodedScalar()).map { unit in
      let digits = String(unit, radix: 16)
      return "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)"
    }.joined()
  }
}

extension Unicode.Scalar {
  /// Whether a reader does not see it, or a terminal obeys it: controls (C0, DEL, C1), marks that reorder text or join letters, separators
  /// of lines, fillers, variation selectors, tags, and what has no meaning yet. By category, so that later ones are among them; but for the
  /// newline, which ends the lines that Baton writes itself.
  package var isHidden: Bool {
    // Most text.
    if (0x20...0x7E).contains(value) || value == 0x0A { return false }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return true
    default: return properties.isDefaultIgnorableCodePoint
    }
  }
}

import Foundation
import Primitives
import Reviews
import Testing

@Suite("Reading JSON")
struct JSONTests {
  @Test(
    "every text is read, or refused, as Foundation reads it",
    arguments: [
      "null", "true", " false ", "0", "-0", "7", "-12", "1.5", "-1.5e-3", "1E2", "1e+2", "1.0", "100e-2",
      "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "9007199254740993",
      "0.1", "1e308", "4.9e-324", "\"\"", "\"a\"", "\"é 👍🏽\"", #""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\udc4d\u0000""#,
      "[]",
      "[ ]", "[1,2 , 3]", "{}", "{ }", #"{"a":1}"#, #"{"a":{"b":[null,{"c":""}]},"d":-1}"#, "\n\t\r [1]\n",
      // Refused.
      "", " ", "nul", "nulll", "True", "01", "-", "+1", ".5", "1.", "1.e2", "1e", "1e+", "0x1", "NaN", "Infinity",
      "1e400",
      "\"", "\"a", "\"\n\"", "\"\t\"", #""\x""#, #""\u12""#, #""\u12g4""#, #""\ud800""#, #""\udc00""#,
      #""\ud800\u0041""#,
      "[", "]", "[,1]", "[1 2]", "[1", "{", "}", #"{"a"}"#, #"{"a":}"#, #"{a:1}"#, #"{1:1}"#,
      #"{"a":1 "b":2}"#, "1 2", "[] []", "// c\n1", "'a'",
    ])
  func sameAsFoundation(text: String) {
    let expected = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    #expect((try? JSONValue(json: text)) == expected)
  }

  @Test(
    "bytes that are no UTF-8 are refused, in a name as in a text",
    arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80]])
  func notText(bytes: [UInt8]) {
    let quote: [UInt8] = [0x22]
    #expect(throws: JSONFault.self) { try JSONValue(json: quote + bytes + quote) }
    #expect(throws: JSONFault.self) { try JSONValue(json: quote + [0x5C, 0x6E] + bytes + quote) }
    #expect(throws: JSONFault.self) { try JSONValue(json: [0x7B] + quote + bytes + quote + [0x3A, 0x31, 0x7D]) }
  }

  @Test("a comma before the end is refused, as Postgres refuses it", arguments: ["[1,]", #"{"a":1,}"#])
  func lastComma(text: String) {
    #expect(throws: JSONFault.self) { try JSONValue(json: text) }
  }

  @Test("of a name that stands twice the last value counts")
  func twice() throws {
    #expect(try JSONValue(json: #"{"a":1,"b":2,"a":3}"#) == .object(["a": .integer(3), "b": .integer(2)]))
  }

  @Test("what is nested too deep is refused, and what is not is read", arguments: ["[", #"{"a":"#])
  func depth(open: String) throws {
    func text(_ depth: Int) -> String {
      String(repeating: open, count: depth) + "1" + String(repeating: open == "[" ? "]" : "}", count: depth)
    }
    _ = try JSONValue(json: text(JSONValue.depthMax))
    #expect(throws: JSONFault.tooDeep(JSONValue.depthMax)) { try JSONValue(json: text(JSONValue.depthMax + 1)) }
    // Far beyond: refused at the bound, before the rest is looked at.
    #expect(throws: JSONFault.tooDeep(JSONValue.depthMax)) {
      try JSONValue(json: String(repeating: open, count: 1_000_000))
    }
    #expect(throws: DecodingError.self) { try JSONCoding.decode([String].self, from: Data(text(1_000).utf8)) }
  }

  @Test("more values than any sender has are refused", arguments: ["1", "[]", "{}", #""""#])
  func count(value: String) throws {
    let many = "[" + Array(repeating: value, count: JSONValue.valueCountMax).joined(separator: ",") + "]"
    #expect(throws: JSONFault.tooManyValues(JSONValue.valueCountMax)) { try JSONValue(json: many) }
    #expect(throws: DecodingError.self) { try JSONCoding.decode([JSONValue].self, from: Data(many.utf8)) }
    _ = try JSONValue(json: Data(many.utf8), valueCountMax: .max)
  }

  @Test("a type is read as Foundation reads it, and refused if Foundation refuses it")
  func types() throws {
    struct Inner: Codable, Equatable {
      var numbers: [Int]
      var name: String?
    }
    struct Outer: Codable, Equatable {
      var id: UUID
      var share: Double
      var isFine: Bool
      var inner: Inner?
      var byName: [String: Int32]
      var bytes: Data
      var rest: JSONValue?
    }
    let text = #"""
      {"id":"0B1F9A52-6F5E-4D7C-9A43-5E1F0C6E2D11","share":2,"isFine":true,"inner":{"numbers":[1,2.0],"name":null},
       "byName":{"a":7},"bytes":"AQL/","rest":{"x":[1]},"more":[[]]}
      """#
    let read = try JSONCoding.decode(Outer.self, from: Data(text.utf8))
    #expect(read == (try JSONDecoder().decode(Outer.self, from: Data(text.utf8))))
    for wrong in [
      text.replacing("true", with: "1"), text.replacing("[1,2.0]", with: "[1,2.5]"),
      text.replacing(":7", with: ":\"7\""),
      text.replacing(":7", with: ":3000000000"), text.replacing("\"share\":2,", with: ""),
      text.replacing("0B1F", with: "0B"),
      text.replacing("{\"a\":7}", with: "[]"), text.replacing("[1,2.0]", with: "null"), "[]", "1",
    ] {
      #expect(throws: DecodingError.self) { try JSONCoding.decode(Outer.self, from: Data(wrong.utf8)) }
      #expect(throws: DecodingError.self) { try JSONDecoder().decode(Outer.self, from: Data(wrong.utf8)) }
    }
  }
}

@Suite("Writing JSON")
struct JSONWritingTests {
  @Test(
    "what a terminal would obey or not show stands there as its number, and means the same",
    arguments: [
      "\u{1B}[31m", "\u{7F}", "\u{9B}2J", "\u{85}", "\u{AD}", "\u{61C}", "\u{180E}", "\u{200B}", "\u{200E}", "\u{202E}",
      "\u{2028}", "\u{2029}", "\u{2060}", "\u{2066}", "\u{3164}", "\u{115F}", "\u{FE0F}", "\u{FEFF}", "\u{FFF9}",
      "\u{E0041}", "\u{E0100}", "\u{1D173}", "\u{E000}",
    ])
  func hidden(text: String) throws {
    let written = try JSONCoding.encode(["a\(text)b": "c\(text)d é 漢 👍🏽"])
    let shown = String(decoding: written, as: UTF8.self)
    #expect(shown.unicodeScalars.allSatisfy { !$0.isHidden })
    #expect(shown.contains("é 漢 👍🏽"))
    #expect(try JSONDecoder().decode([String: String].self, from: written) == ["a\(text)b": "c\(text)d é 漢 👍🏽"])
  }
}

@Suite("Sources")
struct SourceTests {
  @Test("no text from outside is read by a decoder without bounds")
  func decoders() throws {
    var root = URL(filePath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let sources = root.appending(path: "Sources")
    let paths = try #require(FileManager.default.subpaths(atPath: sources.path())).filter { $0.hasSuffix(".swift") }
    #expect(paths.count > 100)
    for path in paths {
      let text = try String(contentsOf: sources.appending(path: path), encoding: .utf8)
      #expect(!text.contains("JSONDecoder()") && !text.contains("JSONSerialization"), "\(path)")
    }
  }

  @Test(
    "texts of senders that cannot be asked again are repaired",
    arguments: [
      (#""a\u0000b""#, "a\u{FFFD}b"), (#""\ud83d""#, "\u{FFFD}"), (#""\ud83dx""#, "\u{FFFD}x"),
      (#""\udc00a""#, "\u{FFFD}a"), (#""\ud83d\n""#, "\u{FFFD}\n"), (#""\ud83d\ud83d\udc4d""#, "\u{FFFD}\u{1F44D}"),
      (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""\ud83d\udc4d""#, "\u{1F44D}"),
    ])
  func repaired(_ json: String, _ text: String) throws {
    #expect(try JSONValue(json: Array(json.utf8), repairingText: true) == .string(text))
  }

  @Test("bytes that are no UTF-8, such as a text that was cut within a character, are repaired only there")
  func repairedBytes() throws {
    for text in [#""cut \u00e9 "#, "\"cut é "] {
      let json = Array(text.utf8) + [0xF0, 0x9F, 0x98] + Array("\"".utf8)
      #expect(try JSONValue(json: json, repairingText: true) == .string("cut é \u{FFFD}"))
      #expect(throws: JSONFault.self) { try JSONValue(json: json) }
    }
  }
}

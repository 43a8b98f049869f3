import Foundation

/// Takes an input apart. Its first line or byte says what the rest is, so that a corpus can be read and written by people.
struct FuzzInput {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  /// All that has not been taken.
  var bytes: [UInt8] { Array(rest) }
  var data: Data { Data(rest) }
  var text: String { String(decoding: rest, as: UTF8.self) }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  /// Up to the next line feed.
  mutating func line() -> String {
    let line = rest.prefix { $0 != UInt8(ascii: "\n") }
    rest = rest.dropFirst(line.count + 1)
    return String(decoding: line, as: UTF8.self)
  }

  /// `name: value`, line by line, up to an empty line.
  mutating func fields() -> [(name: String, value: String)] {
    var fields: [(name: String, value: String)] = []
    while !rest.isEmpty {
      let line = line()
      guard !line.isEmpty else { break }
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      fields.append((String(parts[0]), parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""))
    }
    return fields
  }
}

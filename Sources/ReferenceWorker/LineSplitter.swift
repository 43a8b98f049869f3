/// Cuts a stream of bytes into lines; what is too long for a line is dropped from its end.
struct LineSplitter {
  /// The longest line that is kept, in bytes.
  static let byteCountMax = 64 * 1024

  private var line: [UInt8] = []

  /// The lines that these bytes complete.
  mutating func append(_ bytes: some Sequence<UInt8>) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        lines.append(take())
      } else if line.count < Self.byteCountMax {
        line.append(byte)
      }
    }
    return lines
  }

  /// The last line, if the stream did not end with a line feed.
  mutating func finish() -> String? { line.isEmpty ? nil : take() }

  private mutating func take() -> String {
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    defer { line.removeAll(keepingCapacity: true) }
    return String(decoding: line, as: UTF8.self)
  }
}

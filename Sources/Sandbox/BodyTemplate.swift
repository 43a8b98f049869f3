internal import NIOCore

/// A recorded body, cut at the places where an answer differs from it: the addresses, and for a pull request that was made
/// up also its number, names and commits. Filling it in copies bytes; nothing is parsed.
struct BodyTemplate: Sendable {
  /// What goes into a gap.
  enum Value: Hashable, Sendable {
    case api, repository, owner, name, author, id, number, title, headRef, headSha, headRepository
  }

  private enum Piece: Sendable {
    case text([UInt8])
    case gap(Value)
  }

  private let pieces: [Piece]

  /// A text that is replaced by a value, except what comes before and after it in the gap's own text.
  struct Gap: Sendable {
    fileprivate let needle: [UInt8]
    fileprivate let prefix: [UInt8]
    fileprivate let suffix: [UInt8]
    fileprivate let value: Value

    /// - Parameters:
    ///   - prefix, suffix: what has to stand around the text; it stays.
    init(_ text: String, _ value: Value, prefix: String = "", suffix: String = "") {
      needle = Array((prefix + text + suffix).utf8)
      self.prefix = Array(prefix.utf8)
      self.suffix = Array(suffix.utf8)
      self.value = value
    }
  }

  /// - Parameter gaps: where two begin at the same place, the first wins.
  init(_ json: String, gaps: [Gap] = []) {
    let bytes = Array(JSONText.compact(json).utf8)
    let gaps = gaps + [Gap("https://api.github.com", .api)]
    var pieces: [Piece] = []
    var text: [UInt8] = []
    var position = 0
    while position < bytes.count {
      if let gap = gaps.first(where: { bytes[position...].starts(with: $0.needle) }) {
        pieces.append(.text(text + gap.prefix))
        pieces.append(.gap(gap.value))
        text = gap.suffix
        position += gap.needle.count
      } else {
        text.append(bytes[position])
        position += 1
      }
    }
    self.pieces = pieces + [.text(text)]
  }

  /// Appends the body with its gaps filled; the values are escaped here.
  func write(_ values: [Value: String], to buffer: inout ByteBuffer) {
    let values = values.mapValues(JSONText.escaped)
    for piece in pieces {
      switch piece {
      case .text(let bytes): buffer.writeBytes(bytes)
      case .gap(let value): buffer.writeString(values[value] ?? "")
      }
    }
  }

  /// The body with its gaps filled.
  func fill(_ values: [Value: String]) -> ByteBuffer {
    var buffer = ByteBuffer()
    write(values, to: &buffer)
    return buffer
  }
}

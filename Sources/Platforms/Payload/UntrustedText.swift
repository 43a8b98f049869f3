/// Text that others wrote, made fit to stand in a prompt: as data that shows where it begins and ends.
///
/// A person who reads the page on the platform sees all of it: what the page would not show is removed, and the number of removed things
/// stands with the text.
struct UntrustedText: Sendable, Equatable {
  /// What is left of it: bounded, of visible characters, with line feeds as the only line ends.
  let text: String
  /// Whether its end was cut off.
  let isCut: Bool
  /// Removed characters that show nothing, or that change the order in which others are shown.
  let hiddenCharacterCount: Int
  /// Removed parts of Markdown and HTML that a page does not show.
  let hiddenPartCount: Int

  /// A plain text, as a name or a title.
  /// - Parameter byteCountMax: what goes beyond, in bytes of UTF-8, is cut off.
  init(_ raw: String, byteCountMax: Int) {
    self.init(raw, byteCountMax: byteCountMax, hiddenPartCount: 0, isCut: false)
  }

  /// A text that the platform renders as Markdown.
  init(markdown raw: String, byteCountMax: Int) {
    let markup = HiddenMarkup(raw, byteCountMax: byteCountMax)
    self.init(
      markup.text, byteCountMax: byteCountMax, hiddenPartCount: markup.removedCount, isCut: markup.isCut)
  }

  private init(_ raw: String, byteCountMax: Int, hiddenPartCount: Int, isCut: Bool) {
    var filter = CharacterFilter(byteCountMax: byteCountMax)
    filter.take(raw)
    filter.finish()
    text = String(decoding: filter.bytes, as: UTF8.self)
    hiddenCharacterCount = filter.hiddenCount
    self.hiddenPartCount = hiddenPartCount
    self.isCut = filter.isCut || isCut
  }

  /// The text between two fences of backticks, each alone on its line, after a line that names it.
  ///
  /// A fence is longer than any run of backticks in the text, so that no text can close its own; the reader is notified that
  /// what stands inside is data.
  /// - Parameter head: lines that were made fit already, put in front of the text.
  func fenced(_ name: String, below head: String = "") -> String {
    let inside = head + text
    let fence = String(repeating: "`", count: max(4, Self.longestRun(inside) + 1))
    let marks = marks.isEmpty ? "" : " (\(marks))"
    return "\(name)\(marks):\n\(fence)\n\(inside)\n\(fence)"
  }

  /// The text on one line, without backticks, for a place between two backticks; with a mark if something was removed.
  var inline: String {
    let line = String(decoding: text.utf8.map(Self.inlineByte), as: UTF8.self)
    return hiddenCharacterCount == 0
      ? line : "\(line) (\(Self.counted(hiddenCharacterCount, "hidden character")) removed)"
  }

  /// The first line that is not empty.
  var firstLine: Substring { text.split(separator: "\n").first ?? "" }

  /// What happened to the text, in words; empty if it is whole.
  private var marks: String {
    var marks = isCut ? ["cut off at the end"] : []
    if hiddenCharacterCount > 0 { marks.append("\(Self.counted(hiddenCharacterCount, "hidden character")) removed") }
    if hiddenPartCount > 0 { marks.append("\(Self.counted(hiddenPartCount, "hidden part")) removed") }
    return marks.joined(separator: "; ")
  }

  private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func inlineByte(_ byte: UInt8) -> UInt8 {
    switch byte {
    case UInt8(ascii: "\n"), UInt8(ascii: "\t"): UInt8(ascii: " ")
    case UInt8(ascii: "`"): UInt8(ascii: "'")
    default: byte
    }
  }

  private static func longestRun(_ text: String) -> Int {
    var longest = 0
    var run = 0
    for byte in text.utf8 {
      run = byte == UInt8(ascii: "`") ? run + 1 : 0
      longest = max(longest, run)
    }
    return longest
  }
}

/// A text that never shows itself: printed, interpolated, dumped or mirrored, it is `***`.
///
/// It is neither `Encodable` nor `Decodable`, so it cannot slip into JSON. If the text itself is needed, at the moment of
/// sending it, say `reveal()`.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  private let text: String

  /// Hides a text.
  package init(_ text: String) { self.text = text }

  /// The text itself. Not for a log line, an error's description, a message or a URL.
  package func reveal() -> String { text }

  /// Three stars, whatever the text and its length.
  package var description: String { "***" }
  /// Three stars, whatever the text and its length.
  package var debugDescription: String { "***" }
  /// No children, so that `dump` and a debugger's mirror show nothing.
  package var customMirror: Mirror { Mirror(self, children: []) }
}

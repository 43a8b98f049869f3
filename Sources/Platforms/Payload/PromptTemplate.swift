/// The wording of a prompt: its parts in their order, with `{NAME}` where a value goes.
///
/// The text lies in `Templates`, one file a platform and version: `=== name` begins a part, and the part `order` lists the others
/// as they are put together. A changed wording is a new version. The text is cut at its placeholders once, when it is loaded. Values are
/// put in by one pass over the pieces, so that a value that looks like a placeholder stays what it is.
struct PromptTemplate: Sendable, Equatable {
  /// Identifies the version: it is written at the end of each prompt.
  let version: String
  /// The parts' names in their order.
  let order: [String]
  private let parts: [String: [Line]]

  /// - Parameter text: a file of `Templates`.
  init(version: String, text: String) {
    var parts: [String: [Substring]] = [:]
    var name: String?
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("=== ") {
        name = String(line.dropFirst(4))
      } else if let name {
        parts[name, default: []].append(line)
      }
    }
    self.version = version
    self.parts = parts.mapValues { Self.trimmed($0).map(Line.init) }
    order = parts["order", default: []].filter { !$0.isEmpty }.map(String.init)
  }

  /// A part with its values put in; nil if the template has no such part. A placeholder without a value stays as it is, and a
  /// line that is left empty by one is left out.
  func part(_ name: String, _ values: [String: String]) -> String? {
    guard let lines = parts[name] else { return nil }
    var result = ""
    var isFirst = true
    for line in lines {
      guard let filled = line.filled(values) else { continue }
      if !isFirst { result += "\n" }
      result += filled
      isFirst = false
    }
    return result
  }

  private static func trimmed(_ lines: [Substring]) -> ArraySlice<Substring> {
    var lines = lines[...]
    while lines.first?.isEmpty == true { lines.removeFirst() }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }
}

extension PromptTemplate {
  /// One line, cut at its placeholders.
  private struct Line: Sendable, Equatable {
    enum Piece: Sendable, Equatable {
      case text(String)
      /// The name between braces.
      case placeholder(String)
    }

    let pieces: [Piece]

    init(_ line: Substring) {
      var pieces: [Piece] = []
      var text = ""
      var rest = line
      while let open = rest.firstIndex(of: "{") {
        text += rest[..<open]
        rest = rest[rest.index(after: open)...]
        guard let close = rest.firstIndex(of: "}"), Self.isName(rest[..<close]) else {
          text += "{"
          continue
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        text = ""
        pieces.append(.placeholder(String(rest[..<close])))
        rest = rest[rest.index(after: close)...]
      }
      text += rest
      if !text.isEmpty || pieces.isEmpty { pieces.append(.text(text)) }
      self.pieces = pieces
    }

    private static func isName(_ text: Substring) -> Bool {
      !text.isEmpty
        && text.utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || $0 == UInt8(ascii: "_") }
    }

    /// The line with its values; nil if nothing is left of a line that was not empty.
    func filled(_ values: [String: String]) -> String? {
      if pieces.count == 1, case .text(let text) = pieces[0] { return text }
      var result = ""
      for piece in pieces {
        switch piece {
        case .text(let text): result += text
        case .placeholder(let name): result += values[name] ?? "{\(name)}"
        }
      }
      return result.isEmpty ? nil : result
    }
  }
}

extension PromptTemplate {
  /// For GitHub, with the `gh` tool.
  static let github = PromptTemplate(
    version: "github_v2", text: String(decoding: PackageResources.github_v2_md, as: UTF8.self))
  /// For GitLab, with the `glab` tool.
  static let gitlab = PromptTemplate(
    version: "gitlab_v2", text: String(decoding: PackageResources.gitlab_v2_md, as: UTF8.self))
}

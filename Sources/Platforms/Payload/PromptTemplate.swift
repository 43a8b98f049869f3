/// The wording of a prompt: its parts in their order, with `{NAME}` where a value goes.
///
/// The text lies in `Templates`, one file a platform and version: `=== name` begins a part, and the part `order` lists the others
/// as they are put together. A changed wording is a new version. Values are put in by one pass over the part, so that a value
/// that looks like a placeholder stays what it is.
struct PromptTemplate: Sendable, Equatable {
  /// Identifies the version: it is written at the end of each prompt.
  let version: String
  /// The parts' names in their order.
  let order: [String]
  private let parts: [String: String]

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
    self.parts = parts.mapValues(Self.trimmed)
    order = parts["order", default: []].filter { !$0.isEmpty }.map(String.init)
  }

  /// A part with its values put in; nil if the template has no such part. A placeholder without a value stays as it is, and a
  /// line that is left empty by one is left out.
  func part(_ name: String, _ values: [String: String]) -> String? {
    guard let part = parts[name] else { return nil }
    let lines = part.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.compactMap { line -> String? in
      let filled = Self.fill(line, values)
      return filled.isEmpty && !line.isEmpty ? nil : filled
    }.joined(separator: "\n")
  }

  /// Puts values into a text.
  static func fill(_ text: Substring, _ values: [String: String]) -> String {
    var result = ""
    var rest = text
    while let open = rest.firstIndex(of: "{") {
      result += rest[..<open]
      rest = rest[open...]
      if let close = rest.firstIndex(of: "}"), let value = values[String(rest[rest.index(after: open)..<close])] {
        result += value
        rest = rest[rest.index(after: close)...]
      } else {
        result.append(rest.removeFirst())
      }
    }
    return result + rest
  }

  private static func trimmed(_ lines: [Substring]) -> String {
    var lines = lines[...]
    while lines.first?.isEmpty == true { lines.removeFirst() }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines.joined(separator: "\n")
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

internal import ArgumentParser
internal import Settings

/// What ArgumentParser says, so that it fits a terminal: lines of usage are wrapped, and after an error, where only the error counts, left out.
enum UsageText {
  static let width = 80

  /// The text of an error of usage.
  static func error(_ text: String) -> String {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if let index = lines.firstIndex(where: { $0.hasPrefix("Usage: ") && $0.count > width }) { lines.remove(at: index) }
    return lines.joined(separator: "\n")
  }

  /// A page of help: what is the command's own before the settings that it shares with others.
  static func help(_ text: String) -> String {
    var blocks: [[String]] = [[]]
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.isEmpty {
        blocks.append([])
      } else {
        blocks[blocks.count - 1].append(line.count > width ? usage(line) : String(line))
      }
    }
    let settings = blocks.firstIndex { $0.first == "SETTINGS:" }
    let options = blocks.firstIndex { $0.first == "OPTIONS:" }
    if let settings, let options, settings < options { blocks.insert(blocks.remove(at: settings), at: options) }
    return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
  }

  private static func usage(_ line: Substring) -> String {
    line.hasPrefix("USAGE: ") ? wrapped(String(line)) : String(line)
  }

  /// Breaks before options, never within their brackets.
  private static func wrapped(_ line: String) -> String {
    let indent = "  "
    var parts: [String] = []
    var depth = 0
    for word in line.split(separator: " ") {
      if depth > 0, let last = parts.indices.last { parts[last] += " " + word } else { parts.append(String(word)) }
      depth += word.count { $0 == "[" } - word.count { $0 == "]" }
    }
    var lines = [""]
    for part in parts {
      let isFirst = lines[lines.count - 1].allSatisfy { $0 == " " }
      if !isFirst, lines[lines.count - 1].count + 1 + part.count > width {
        lines.append(indent + part)
      } else {
        lines[lines.count - 1] += (isFirst ? "" : " ") + part
      }
    }
    return lines.joined(separator: "\n")
  }

  /// Words that ArgumentParser answers with a page or the version, whatever else was typed.
  private static let questions: Set = ["help", "--help", "-h", "-help", "--version"]

  /// What is wrong with a word that stands in the place of a command, also if a page of help or the version is asked for with it.
  /// - Returns: nil if all words in such places are commands.
  static func unknownCommand(_ arguments: [String]) -> String? {
    var command: any ParsableCommand.Type = Baton.self
    var path = ["baton"]
    for argument in arguments where !questions.contains(argument) {
      let subcommands = command.configuration.subcommands.filter { $0.configuration.shouldDisplay }
      guard !subcommands.isEmpty, !argument.hasPrefix("-") else { return nil }
      if let next = subcommands.first(where: { $0._commandName == argument }) {
        command = next
        path.append(argument)
        continue
      }
      let parent = path.joined(separator: " ")
      let meant = nearest(argument, subcommands.map { $0._commandName }, within: argument.count <= 3 ? 1 : 2)
      let lines = [
        "Error: there is no command `\(parent) \(DisplayText.safe(argument, byteCountMax: 80))`",
        meant.map { "Did you mean `\(parent) \($0)`?" }, "See `\(parent) --help` for the commands that there are.",
      ]
      return lines.compactMap { $0 }.joined(separator: "\n")
    }
    return nil
  }
}

extension Settings {
  /// A setting as the documentation shows it.
  package struct Name: Sendable {
    /// Its name within the program.
    package let key: Key
    /// The environment's name of it.
    package var variable: String { key.variable }
    /// As a text, or "—" if there is none.
    package let `default`: String
    /// Half a sentence.
    package let meaning: String
    /// Whether its value must not be shown.
    package let isSecret: Bool
  }

  /// All settings in the order of the documentation.
  package static let settingNames: [Name] = SettingDefinition.all.map {
    Name(
      key: $0.key, default: $0.defaultNote ?? $0.defaultText ?? "—", meaning: $0.meaning, isSecret: $0.isSecret)
  }

  /// The table of the page `Settings.md`.
  package static var markdownTable: String {
    let rows = settingNames.map {
      "| `\($0.variable)` | \($0.default == "—" ? "—" : "`\($0.default)`") | \($0.meaning) |"
    }
    return (["| variable | default | meaning |", "|---|---|---|"] + rows).joined(separator: "\n") + "\n"
  }

  /// The settings as `--help` lists them.
  package static var help: String {
    let width = settingNames.map { $0.variable.count }.max() ?? 0
    let rows = settingNames.map { name in
      let padding = String(repeating: " ", count: width - name.variable.count)
      let suffix = name.default == "—" ? "" : " (default: \(name.default))"
      return "  \(name.variable)\(padding)  \(name.meaning.replacing("`", with: ""))\(suffix)"
    }
    return rows.joined(separator: "\n")
  }
}

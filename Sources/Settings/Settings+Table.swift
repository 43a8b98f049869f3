extension Settings {
  /// What all settings say about themselves, in the order of the documentation.
  package static let definitions: [SettingDefinition] = Settings().all.map(\.definition)

  /// The settings by the labels that reflection has for them.
  package static let keysByLabel = Dictionary(
    uniqueKeysWithValues: Settings().labelled.map { ($0.label, $0.setting.definition.key) })

  /// All settings, in the order of their declaration.
  var all: [any AnySetting] { labelled.map(\.setting) }

  private var labelled: [(label: String, setting: any AnySetting)] {
    Mirror(reflecting: self).children.compactMap { child in
      guard let label = child.label, let setting = child.value as? any AnySetting else { return nil }
      return (label, setting)
    }
  }

  /// The table of the page `Settings.md`, where it is typed: a test compares the two.
  package static var markdownTable: String {
    let rows = definitions.map {
      "| `\($0.variable)` | \($0.default == "—" ? "—" : "`\($0.default)`") | \($0.meaning) |"
    }
    return (["| variable | default | meaning |", "|---|---|---|"] + rows).joined(separator: "\n") + "\n"
  }

  /// The settings as `--help` lists them.
  package static var help: String {
    let width = definitions.map { $0.variable.count }.max() ?? 0
    let rows = definitions.map { name in
      let padding = String(repeating: " ", count: width - name.variable.count)
      let suffix = name.default == "—" ? "" : " (default: \(name.default))"
      return "  \(name.variable)\(padding)  \(name.meaning.replacing("`", with: ""))\(suffix)"
    }
    return rows.joined(separator: "\n")
  }
}

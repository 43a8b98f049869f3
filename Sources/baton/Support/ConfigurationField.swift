internal import Primitives
internal import Reviews

/// A field of `agent_configs.config`, as a flag gives it and as people see it.
struct ConfigurationField: Sendable {
  /// What a flag's text becomes.
  enum Kind: Sendable {
    case text, number, truth
    /// A list of texts.
    case list
    /// A list of numbers, or of texts.
    case ids
  }

  let name: String
  let kind: Kind
  /// What holds if the field is missing.
  let fallback: String

  /// The flag's name: `--review-style`.
  var flag: String { "--\(name.replacing("_", with: "-"))" }

  /// All fields, in the order of the documentation.
  static let all = [
    ConfigurationField(name: "review_style", kind: .text, fallback: "balanced"),
    ConfigurationField(name: "focus_areas", kind: .list, fallback: "all"),
    ConfigurationField(name: "custom_instructions", kind: .text, fallback: "none"),
    ConfigurationField(name: "model_slug", kind: .text, fallback: "Baton's"),
    ConfigurationField(name: "thinking_effort", kind: .text, fallback: "the model's"),
    ConfigurationField(name: "max_review_time_minutes", kind: .number, fallback: "10"),
    ConfigurationField(name: "repository_selection_mode", kind: .text, fallback: "all"),
    ConfigurationField(name: "selected_repository_ids", kind: .ids, fallback: "none"),
    ConfigurationField(name: "gate_threshold", kind: .text, fallback: "off"),
    ConfigurationField(name: "agent_version", kind: .text, fallback: "by flag, else the worker's"),
    ConfigurationField(name: "skip_authors", kind: .list, fallback: "none"),
    ConfigurationField(name: "skip_bots", kind: .truth, fallback: "false"),
    ConfigurationField(name: "base_branches", kind: .list, fallback: "all"),
    ConfigurationField(name: "skip_labels", kind: .list, fallback: "none"),
    ConfigurationField(name: "skip_title_words", kind: .list, fallback: "none"),
    ConfigurationField(name: "review_drafts", kind: .truth, fallback: "false"),
    ConfigurationField(name: "paths", kind: .list, fallback: "all"),
    ConfigurationField(name: "skip_paths", kind: .list, fallback: "none"),
  ]

  /// The JSON value of a flag's text; nil if it is empty: the field is removed.
  func value(_ text: String) -> JSONValue? {
    guard !text.isEmpty else { return nil }
    return switch kind {
    case .text: .string(text)
    case .number: Self.number(text)
    case .truth: Bool(text).map { .bool($0) } ?? .string(text)
    case .list: .array(Self.items(text).map { .string(String($0)) })
    case .ids: .array(Self.items(text).map { Self.number($0) })
    }
  }

  private static func items(_ text: String) -> [Substring] {
    text.split(separator: ",").map { $0.drop { $0 == " " } }
  }

  /// A number if it is one; anything else stays a text, which the check then judges.
  private static func number(_ text: some StringProtocol) -> JSONValue {
    Int64(text).map { .integer($0) } ?? .string(String(text))
  }
}

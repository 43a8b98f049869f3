internal import FoundationEssentials
internal import Primitives

/// What an owner has configured for its reviews: `agent_configs.config`, checked.
package struct ReviewConfiguration: Sendable, Equatable {
  /// How strict the review is.
  package enum Style: String, Sendable, CaseIterable { case strict, balanced, lenient, roast }
  /// What the review looks at first.
  package enum FocusArea: String, Sendable, CaseIterable {
    case security, performance, bugs, style, testing, documentation
  }
  /// From which severity on the gate fails.
  package enum GateThreshold: String, Sendable, CaseIterable { case off, all, warning, critical }
  /// Which repositories are reviewed.
  package enum RepositorySelection: String, Sendable, CaseIterable { case all, selected }

  package var style: Style = .balanced
  package var focusAreas: [FocusArea] = []
  package var customInstructions: String?
  package var model: String?
  package var thinkingEffort: String?
  package var maxReviewTimeMinutes = 10
  package var repositorySelection: RepositorySelection = .all
  package var selectedRepositoryIDs: [String] = []
  package var gateThreshold: GateThreshold = .off
  package var agentVersion: String?
  /// Which pull requests are reviewed.
  package var filter = PullRequestFilter()

  package init() {}
}

/// What is wrong with a configuration: every fault, each with the field it is about.
package struct ReviewConfigurationFaults: Error, Sendable, Equatable, CustomStringConvertible {
  package var faults: [String]
  package var description: String { faults.joined(separator: "; ") }
}

extension ReviewConfigurationFaults {
  /// A configuration that is too large.
  package init(byteCount: Int) {
    self.init(faults: [
      "the configuration has \(byteCount) bytes, at most \(ReviewConfiguration.byteCountMax) are allowed"
    ])
  }
}

extension ReviewConfiguration {
  /// The largest configuration, in bytes of its text: room for some ten thousand selected repositories. Every lease reads one.
  package static let byteCountMax = 262_144
  /// The longest custom instructions, in bytes.
  package static let customInstructionsByteCountMax = 20_000

  /// Reads and checks a configuration; unknown fields are ignored.
  package init(json: String) throws(ReviewConfigurationFaults) {
    guard json.utf8.count <= Self.byteCountMax else {
      throw ReviewConfigurationFaults(byteCount: json.utf8.count)
    }
    guard let value = try? JSONValue(json: json), case .object(let fields) = value
    else { throw ReviewConfigurationFaults(faults: ["the configuration is not a JSON object"]) }
    var faults: [String] = []

    func choice<Choice: RawRepresentable & CaseIterable>(_ name: String, _ fallback: Choice) -> Choice
    where Choice.RawValue == String {
      guard let value = fields[name], value != .null else { return fallback }
      if let text = value.string, let choice = Choice(rawValue: text) { return choice }
      faults.append("\(name): expected one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
      return fallback
    }
    func text(_ name: String, max byteCountMax: Int) -> String? {
      guard let value = fields[name], value != .null else { return nil }
      guard let text = value.string, text.utf8.count <= byteCountMax else {
        faults.append("\(name): expected a string of at most \(byteCountMax) bytes")
        return nil
      }
      return text.isEmpty ? nil : text
    }
    func list(_ name: String) -> [JSONValue] {
      guard let value = fields[name], value != .null else { return [] }
      if case .array(let items) = value { return items }
      faults.append("\(name): expected an array")
      return []
    }

    style = choice("review_style", .balanced)
    gateThreshold = choice("gate_threshold", .off)
    repositorySelection = choice("repository_selection_mode", .all)
    customInstructions = text("custom_instructions", max: Self.customInstructionsByteCountMax)
    model = text("model_slug", max: 200)
    thinkingEffort = text("thinking_effort", max: 50)
    agentVersion = text("agent_version", max: 100)
    for item in list("focus_areas") {
      if let text = item.string, let area = FocusArea(rawValue: text) {
        focusAreas.append(area)
      } else {
        faults.append("focus_areas: expected only \(FocusArea.allCases.map(\.rawValue).joined(separator: ", "))")
        break
      }
    }
    for item in list("selected_repository_ids") {
      switch item {
      case .string(let id): selectedRepositoryIDs.append(id)
      case .integer(let id): selectedRepositoryIDs.append(String(id))
      default: faults.append("selected_repository_ids: expected numbers or strings")
      }
    }
    filter = PullRequestFilter(fields, faults: &faults)
    switch fields["max_review_time_minutes"] {
    case nil, .null?: break
    case .integer(let minutes)? where (5...30).contains(minutes): maxReviewTimeMinutes = Int(minutes)
    case .some: faults.append("max_review_time_minutes: expected a whole number from 5 to 30")
    }
    guard faults.isEmpty else { throw ReviewConfigurationFaults(faults: faults) }
  }
}

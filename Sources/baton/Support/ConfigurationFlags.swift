internal import ArgumentParser
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The fields of a review configuration by flags. What they say is checked where the whole configuration is, so that all
/// faults are named at once.
struct ConfigurationFlags: ParsableArguments {
  @Option(
    help: ArgumentHelp("strict, balanced, lenient or roast.", valueName: "style"),
    completion: .list(ReviewConfiguration.Style.allCases.map(\.rawValue)))
  var reviewStyle: String?

  @Option(
    help: ArgumentHelp(
      "What to look at first, comma-separated: security, performance, bugs, style, testing, documentation.",
      valueName: "areas"), completion: .list(ReviewConfiguration.FocusArea.allCases.map(\.rawValue)))
  var focusAreas: String?

  // Instructions may begin with a dash.
  @Option(
    parsing: .unconditional, help: ArgumentHelp("The owner's own wishes, for the prompt.", valueName: "text"))
  var customInstructions: String?

  @Option(
    help: ArgumentHelp("The same from a file; - is standard input.", valueName: "file"), completion: .file())
  var customInstructionsFile: String?

  @Option(help: ArgumentHelp("Model that reviews.", valueName: "slug"))
  var modelSlug: String?

  @Option(help: ArgumentHelp("How much the model thinks, in its own words.", valueName: "effort"))
  var thinkingEffort: String?

  @Option(help: ArgumentHelp("When a review is stopped, 5 to 30.", valueName: "minutes"))
  var maxReviewTimeMinutes: String?

  @Option(
    help: ArgumentHelp("all, or selected: only --selected-repository-ids.", valueName: "mode"),
    completion: .list(ReviewConfiguration.RepositorySelection.allCases.map(\.rawValue)))
  var repositorySelectionMode: String?

  @Option(help: ArgumentHelp("The platform's numbers of repositories, comma-separated.", valueName: "ids"))
  var selectedRepositoryIds: String?

  @Option(
    help: ArgumentHelp("From which finding on the gate fails: off, all, warning or critical.", valueName: "severity"),
    completion: .list(ReviewConfiguration.GateThreshold.allCases.map(\.rawValue)))
  var gateThreshold: String?

  @Option(help: ArgumentHelp("Agent version, whatever the flags say.", valueName: "version"))
  var agentVersion: String?

  @Option(
    help: ArgumentHelp(
      "Authors whose pull requests are not reviewed, comma-separated: dependabot*.", valueName: "names"))
  var skipAuthors: String?

  @Option(
    help: ArgumentHelp("Whether pull requests of bots are not reviewed.", valueName: "true|false"),
    completion: .list(["true", "false"]))
  var skipBots: String?

  @Option(
    help: ArgumentHelp("Only pull requests into these branches are reviewed: main,release/*.", valueName: "patterns"))
  var baseBranches: String?

  @Option(help: ArgumentHelp("Labels with which a pull request is not reviewed.", valueName: "patterns"))
  var skipLabels: String?

  @Option(help: ArgumentHelp("Words of a title with which it is not: wip,[skip review].", valueName: "words"))
  var skipTitleWords: String?

  @Option(
    help: ArgumentHelp("Whether drafts are reviewed too.", valueName: "true|false"),
    completion: .list(["true", "false"]))
  var reviewDrafts: String?

  @Option(
    help: ArgumentHelp(
      "Only pull requests that change one of these files are reviewed: Sources/**.", valueName: "patterns"))
  var paths: String?

  @Option(help: ArgumentHelp("Files that do not count: **/*.md.", valueName: "patterns"))
  var skipPaths: String?

  /// What was given, in the order of ``ConfigurationField/all``.
  private var given: [(field: ConfigurationField, text: String)] {
    let texts = [
      reviewStyle, focusAreas, customInstructions, modelSlug, thinkingEffort, maxReviewTimeMinutes,
      repositorySelectionMode, selectedRepositoryIds, gateThreshold, agentVersion, skipAuthors, skipBots, baseBranches,
      skipLabels, skipTitleWords, reviewDrafts, paths, skipPaths,
    ]
    return zip(ConfigurationField.all, texts).compactMap { field, text in text.map { (field, $0) } }
  }

  /// Whether none of the flags was given.
  var isEmpty: Bool { given.isEmpty && customInstructionsFile == nil }

  func validate() throws {
    if customInstructions != nil && customInstructionsFile != nil {
      throw ValidationError("Give --custom-instructions or --custom-instructions-file, not both.")
    }
    do {
      _ = try ReviewConfiguration(json: try Output.jsonText(object))
    } catch let error as ReviewConfigurationFaults {
      throw ValidationError(error.faults.map(Self.flagFault).joined(separator: "\n"))
    }
  }

  /// The change that the flags ask for, with the file's instructions if one is named.
  func change(replacement: String?, isEnabled: Bool?) throws -> ConfigurationChange {
    var fields = object
    if let customInstructionsFile {
      fields["custom_instructions"] = .string(try InputFile.text(of: customInstructionsFile))
    }
    return ConfigurationChange(
      replacement: replacement, fields: try Output.jsonText(fields),
      removed: given.filter { $0.text.isEmpty }.map(\.field.name), isEnabled: isEnabled)
  }

  private var object: [String: JSONValue] {
    var object: [String: JSONValue] = [:]
    for (field, text) in given { object[field.name] = field.value(text) }
    return object
  }

  private static func flagFault(_ fault: String) -> String {
    for field in ConfigurationField.all where fault.hasPrefix("\(field.name):") {
      return field.flag + fault.dropFirst(field.name.count)
    }
    return fault
  }
}

extension InputFile {
  /// The largest text that is read whole, in bytes: less than what Postgres takes for a configuration, more than what a person writes.
  private static let textByteCountMax = 1_048_576

  /// All of a file as text.
  static func text(of path: String) throws(Failure) -> String {
    let input = try InputFile(path)
    var bytes: [UInt8] = []
    while true {
      let piece = try input.read()
      if piece.isEmpty { break }
      bytes += piece
      guard bytes.count <= textByteCountMax else { throw Failure(.failed, "\(path) is longer than 1 MiB") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.failed, "\(path) is not UTF-8 text")
    }
    return text
  }
}

internal import ArgumentParser
internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton config`.
struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Sets and shows how an owner's reviews are done.",
    discussion: """
      An owner has one configuration for each platform; without an enabled one its reviews fail as config_missing. The \
      settings of Baton itself are something else: flags, BATON_* variables, or the file named by --config.

      EXAMPLES:
        baton config set org:acme --platform github --enable
        baton config show org:acme --platform github
      """,
    subcommands: [ConfigSetCommand.self, ConfigShowCommand.self])
}

/// `baton config set`.
struct ConfigSetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Makes or changes an owner's configuration.",
    discussion: """
      Flags change only what they name; an empty text takes the field away. A file takes the place of the whole \
      configuration, and flags go over it. Fields that are not known are kept. Nothing is changed where anything is invalid, \
      and every fault is named. A new configuration is enabled.

      EXAMPLES:
        baton config set org:acme --platform github --enable
        baton config set org:acme --platform github --review-style strict \\
          --focus-areas security,bugs --gate-threshold critical
        baton config set org:acme --platform github --custom-instructions ""
        baton config set org:acme --platform github --skip-bots true --skip-paths '**/*.md'
        baton config set user:42 --platform gitlab --file config.json
        baton config show org:acme --platform github --json | jq .config |
          baton config set org:other --platform github --file -
      """)

  /// Whether the owner's reviews are done at all.
  enum Switch: String, EnumerableFlag {
    case enable, disable

    static func help(for value: Switch) -> ArgumentHelp? {
      switch value {
      case .enable: "Do the owner's reviews."
      case .disable: "Do none: they fail as config_missing, and webhooks make none."
      }
    }
  }

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @Option(help: ArgumentHelp("github or gitlab.", valueName: "platform"))
  var platform: Platform

  @Option(
    help: ArgumentHelp("Take the configuration from this JSON file; - is standard input.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var file: String?

  @Flag var enabling: Switch?

  @OptionGroup(title: "Fields") var flags: ConfigurationFlags

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard !flags.isEmpty || file != nil || enabling != nil else {
      throw ValidationError("Nothing to change: give --enable, --disable, --file, or a field such as --review-style.")
    }
    guard file != "-" || flags.customInstructionsFile != "-" else {
      throw ValidationError("Only one file can come from standard input.")
    }
  }

  func run() async throws {
    let session = try CommandSession("baton config set", common, [database], requiring: [.databaseURL])
    let change = try flags.change(
      replacement: try file.map { path throws(Failure) in try Self.object(of: path) },
      isEnabled: enabling.map { $0 == .enable })
    let name = DisplayText.safe("\(owner)")
    do {
      let stored = try await session.withStore { try await $0.change(change, of: owner, platform: platform) }
      try Output.line("\(name)  \(platform.rawValue)  \(stored.isEnabled ? "enabled" : "disabled")")
      if !stored.isEnabled { Output.note("No review of \(name) is done until it is set with --enable.") }
    } catch let error as ReviewConfigurationFaults {
      throw Failure(
        .failed,
        "nothing was changed: the configuration of \(name) for \(platform.rawValue) would be invalid\n"
          + error.faults.map { "  - \($0)" }.joined(separator: "\n"))
    }
  }

  /// The text of a file that holds a JSON object.
  private static func object(of path: String) throws(Failure) -> String {
    let text = try InputFile.text(of: path)
    guard case .object? = try? JSONValue(json: text) else {
      throw Failure(.failed, "\(path == "-" ? "standard input" : path) does not hold a JSON object")
    }
    return text
  }
}

/// `baton config show`.
struct ConfigShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Shows an owner's configuration, and what is wrong with it.",
    discussion: """
      EXAMPLES:
        baton config show org:acme --platform github
        baton config show org:acme --platform github --json | jq .config

      With --json: {"owner": {"type", "id"}, "platform", "isEnabled", "config", "faults"}; config as it is stored, faults \
      empty where it is valid.
      """)

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @Option(help: ArgumentHelp("github or gitlab.", valueName: "platform"))
  var platform: Platform

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton config show", common, [database], requiring: [.databaseURL])
    let name = DisplayText.safe("\(owner)")
    guard let stored = try await session.withStore({ try await $0.configuration(of: owner, platform: platform) }) else {
      throw Failure(
        .failed,
        "\(name) has no configuration for \(platform.rawValue).\nMake one with `baton config set \(name) --platform "
          + "\(platform.rawValue) --enable`.")
    }
    let page = try ConfigurationPage(owner: owner, platform: platform, stored: stored)
    if json { return try Output.json(page) }
    let terminal = Terminal.output
    try Output.line("\(name) on \(platform.rawValue), \(stored.isEnabled ? "enabled" : "disabled")")
    try Output.lines(page.table.lines(width: terminal.width, usesColor: terminal.usesColor))
    for fault in page.faults { Output.note("Invalid: \(fault)") }
  }
}

/// What `baton config show` prints.
struct ConfigurationPage: Encodable {
  var owner: Owner
  var platform: Platform
  var isEnabled: Bool
  var config: JSONValue
  var faults: [String]

  init(owner: Owner, platform: Platform, stored: StoredConfiguration) throws {
    self.owner = owner
    self.platform = platform
    isEnabled = stored.isEnabled
    config = try JSONValue(json: stored.json)
    do throws(ReviewConfigurationFaults) {
      _ = try ReviewConfiguration(json: stored.json)
      faults = []
    } catch {
      faults = error.faults
    }
  }

  /// Every known field with what holds for it, then those that this version does not know.
  var table: Table {
    var table = Table([.left("FIELD"), .prose("VALUE")])
    for field in ConfigurationField.all {
      let value = config[field.name].flatMap { $0 == .null ? nil : $0 }
      let isGiven = value != nil
      table.append([
        .init(field.name), .init(value?.text ?? "\(field.fallback) (default)", isGiven ? nil : .dim),
      ])
    }
    guard case .object(let fields) = config else { return table }
    let known = Set(ConfigurationField.all.map(\.name))
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) where !known.contains(name) {
      table.append([.init(name, .yellow), .init("\(value.text) (not known)", .yellow)])
    }
    return table
  }
}

extension JSONValue {
  /// A string without quotes, a list with commas, all else as JSON.
  fileprivate var text: String {
    switch self {
    case .string(let text): text
    case .array(let items): items.map(\.text).joined(separator: ", ")
    default: (try? Output.jsonText(self)) ?? ""
    }
  }
}

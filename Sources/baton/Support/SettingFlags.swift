internal import ArgumentParser
internal import FoundationEssentials
internal import Settings

/// Flags that stand for settings. Their texts are checked where all settings are: in `Settings.load`.
protocol SettingFlags {
  var given: [Settings.Key: String?] { get }
}

extension NameSpecification {
  /// The flag of a setting: `--database-url`.
  static func setting(_ key: Settings.Key) -> NameSpecification { .customLong(String(key.flag.dropFirst(2))) }
}

extension ArgumentHelp {
  /// The setting's meaning, with its variable and default.
  static func setting(_ key: Settings.Key, _ valueName: String) -> ArgumentHelp {
    guard let name = Settings.settingNames.first(where: { $0.key == key }) else { return ArgumentHelp("") }
    let meaning = name.meaning.replacing("`", with: "")
    let fallback = name.default == "—" ? "" : ", default \(name.default)"
    return ArgumentHelp("\(meaning) (\(name.variable)\(fallback))", valueName: valueName)
  }
}

/// What every command takes.
struct CommonOptions: ParsableArguments, SettingFlags {
  @Option(
    name: .customLong("config"),
    help: ArgumentHelp("YAML or JSON file of settings; flags and BATON_* variables win over it.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml", "json"]))
  var configurationFile: String?

  @Option(
    name: .setting(.logLevel), help: .setting(.logLevel, "level"),
    completion: .list(Settings.LogLevel.allCases.map(\.rawValue)))
  var logLevel: String?

  @Option(
    name: .setting(.logFormat), help: .setting(.logFormat, "format"),
    completion: .list(Settings.LogFormat.allCases.map(\.rawValue)))
  var logFormat: String?

  @Option(
    name: .setting(.caFile), help: .setting(.caFile, "file"), completion: .file(extensions: ["pem", "crt"]))
  var caFile: String?

  var given: [Settings.Key: String?] { [.logLevel: logLevel, .logFormat: logFormat, .caFile: caFile] }

  /// Reads the settings: flags win over the environment, which wins over the file.
  /// - Throws: `SettingsError` with every fault, what is missing among them.
  func load(_ groups: [any SettingFlags], requiring keys: [Settings.Key]) throws(SettingsError) -> Settings {
    var flags: [String: String] = [:]
    for group in [self] + groups {
      for case (let key, let text?) in group.given { flags[key.rawValue] = text }
    }
    let environment = ProcessInfo.processInfo.environment
    let settings = try Settings.load(flags: flags, environment: environment, file: configurationFile)
    try settings.require(keys)
    return settings
  }
}

/// Where Postgres is.
struct DatabaseOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.databaseURL), help: .setting(.databaseURL, "url"))
  var databaseURL: String?

  @Option(name: .setting(.databasePool), help: .setting(.databasePool, "count"))
  var databasePool: String?

  var given: [Settings.Key: String?] { [.databaseURL: databaseURL, .databasePool: databasePool] }
}

/// Where the broker is.
struct BrokerOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.amqpURL), help: .setting(.amqpURL, "url"))
  var amqpURL: String?

  @Option(name: .setting(.queue), help: .setting(.queue, "name"))
  var queue: String?

  @Option(name: .setting(.amqpCertFile), help: .setting(.amqpCertFile, "file"), completion: .file())
  var amqpCertFile: String?

  @Option(name: .setting(.amqpKeyFile), help: .setting(.amqpKeyFile, "file"), completion: .file())
  var amqpKeyFile: String?

  var given: [Settings.Key: String?] {
    [.amqpURL: amqpURL, .queue: queue, .amqpCertFile: amqpCertFile, .amqpKeyFile: amqpKeyFile]
  }
}

/// How the worker is called.
struct WorkerOptions: ParsableArguments, SettingFlags {
  @Option(name: .setting(.workerURL), help: .setting(.workerURL, "url"))
  var workerURL: String?

  @Option(name: .setting(.workerToken), help: .setting(.workerToken, "token"))
  var workerToken: String?

  @Option(name: .setting(.workerTimeout), help: .setting(.workerTimeout, "time"))
  var workerTimeout: String?

  var given: [Settings.Key: String?] {
    [.workerURL: workerURL, .workerToken: workerToken, .workerTimeout: workerTimeout]
  }
}

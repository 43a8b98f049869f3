internal import ArgumentParser
internal import FoundationEssentials
internal import Settings
internal import Telemetry

/// Flags that stand for settings. Their texts are checked where all settings are: in `Settings.load`.
protocol SettingFlags {}

extension SettingFlags {
  /// The texts that were given, nil for the others: by the names of the properties, which are those of `Settings`.
  var given: [Settings.Key: String?] {
    var given: [Settings.Key: String?] = [:]
    for child in Mirror(reflecting: self).children {
      guard let key = child.label.flatMap({ Settings.keysByLabel[$0] }), let option = child.value as? Option<String?>
      else { continue }
      given.updateValue(option.wrappedValue, forKey: key)
    }
    return given
  }
}

extension Option<String?> {
  /// The flag of a setting, as `--database-url`, with the setting's own words as its help.
  init(setting key: Settings.Key, completion: CompletionKind? = nil) {
    self.init(name: .customLong(String(key.flag.dropFirst(2))), help: .setting(key), completion: completion)
  }
}

extension ArgumentHelp {
  /// The setting's meaning, with its variable and default.
  fileprivate static func setting(_ key: Settings.Key) -> ArgumentHelp {
    guard let setting = Settings.definitions.first(where: { $0.key == key }) else { return ArgumentHelp("") }
    let meaning = setting.meaning.replacing("`", with: "")
    let fallback = setting.default == "—" ? "" : ", default \(setting.default)"
    return ArgumentHelp("\(meaning) (\(setting.variable)\(fallback))", valueName: setting.kind)
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
    setting: "log_level",
    completion: .list(Settings.LogLevel.allCases.map(\.rawValue)))
  var logLevel: String?

  @Option(
    setting: "log_format",
    completion: .list(LogFormat.allCases.map(\.rawValue)))
  var logFormat: String?

  @Option(setting: "ca_file", completion: .file(extensions: ["pem", "crt"]))
  var caFile: String?

  /// Reads the settings: flags win over the environment, which wins over the file.
  /// - Parameter complete: fills in what a demonstration needs no settings for; returns what does not fit together.
  /// - Throws: `SettingsError` with every fault, what is missing among them.
  func load(
    _ groups: [any SettingFlags], requiring keys: [Settings.Key],
    complete: (inout Settings) -> [String] = { _ in [] }
  ) throws(SettingsError) -> Settings {
    var flags: [String: String] = [:]
    for group in [self] + groups {
      for case (let key, let text?) in group.given { flags[key.name] = text }
    }
    return try Settings.load(
      flags: flags, environment: ProcessInfo.processInfo.environment, file: configurationFile, requiring: keys,
      complete: complete)
  }
}

/// Where Postgres is.
struct DatabaseOptions: ParsableArguments, SettingFlags {
  @Option(setting: "database_url")
  var databaseURL: String?

  @Option(setting: "database_pool")
  var databasePool: String?
}

/// Where the broker is.
struct BrokerOptions: ParsableArguments, SettingFlags {
  @Option(setting: "amqp_url")
  var amqpURLs: String?

  @Option(setting: "queue")
  var queue: String?

  @Option(setting: "amqp_cert_file", completion: .file())
  var amqpCertFile: String?

  @Option(setting: "amqp_key_file", completion: .file())
  var amqpKeyFile: String?
}

/// How the worker is called.
struct WorkerOptions: ParsableArguments, SettingFlags {
  @Option(setting: "worker_url")
  var workerURL: String?

  @Option(setting: "worker_token")
  var workerToken: String?

  @Option(setting: "worker_timeout")
  var workerTimeout: String?
}

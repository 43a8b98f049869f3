internal import ArgumentParser
internal import Assembly
internal import Logging
internal import Reviews
internal import Settings
internal import Telemetry

extension CommonOptions {
  /// Reads the settings of a process of the dispatcher, see ``loadForRole(_:_:requiring:prepare:)``.
  func loadForRole(
    _ name: String, _ groups: [any SettingFlags], for roles: Set<Role>, prepare: (inout Settings) -> Void = { _ in }
  ) throws(SettingsError) -> (settings: Settings, logger: Logger) {
    try loadForRole(name, groups, requiring: roles.requiredSettings, prepare: prepare)
  }

  /// Reads a role's settings and sets up its logging; `prepare` may fill in what a demo needs no settings for.
  /// - Throws: `SettingsError` with every fault, what is missing among them.
  func loadForRole(
    _ name: String, _ groups: [any SettingFlags], requiring keys: [Settings.Key],
    prepare: (inout Settings) -> Void = { _ in }
  ) throws(SettingsError) -> (settings: Settings, logger: Logger) {
    var settings = try load(groups, requiring: [])
    prepare(&settings)
    try settings.require(keys)
    bootstrapLogging(
      format: settings.logFormat,
      level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
    let logger = Logger(label: "baton.\(name)")
    let used = Set(groups.flatMap { $0.given.keys })
    let warnings = settings.warnings + settings.plaintextWarnings(of: used) + settings.shortSecretWarnings(of: used)
    for warning in warnings { logger.warning("\(warning)") }
    return (settings, logger)
  }
}

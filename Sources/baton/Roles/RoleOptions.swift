internal import ArgumentParser
internal import Assembly
internal import Logging
internal import Reviews
internal import Settings
internal import Telemetry

extension CommonOptions {
  /// Reads the settings of a process of the dispatcher, see ``loadForRole(_:_:requiring:complete:)``; `prepare` may
  /// fill in what a demonstration needs no settings for.
  func loadForRole(
    _ name: String, _ groups: [any SettingFlags], for roles: Set<Role>, prepare: (inout Settings) -> Void = { _ in }
  ) throws(SettingsError) -> (settings: Settings, logger: Logger) {
    try loadForRole(name, groups, requiring: roles.requiredSettings) { settings in
      prepare(&settings)
      return roles.faults(of: settings)
    }
  }

  /// Reads a role's settings and sets up its logging.
  /// - Parameter complete: as of ``load(_:requiring:complete:)``.
  /// - Throws: `SettingsError` with every fault, what is missing among them.
  func loadForRole(
    _ name: String, _ groups: [any SettingFlags], requiring keys: [Settings.Key],
    complete: (inout Settings) -> [String]
  ) throws(SettingsError) -> (settings: Settings, logger: Logger) {
    let settings = try load(groups, requiring: keys, complete: complete)
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

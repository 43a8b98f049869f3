internal import Settings
internal import Telemetry

/// Takes secrets out of ArgumentParser's messages, which repeat arguments that they do not understand: a mistyped flag, and what follows it.
enum ArgumentRedaction {
  /// - Parameters:
  ///   - message: of ArgumentParser.
  ///   - arguments: of the program, without its name.
  static func redact(_ message: String, arguments: [String]) -> String {
    let secrets = values(of: arguments).sorted { $0.count > $1.count }
    let text = secrets.reduce(message) { $0.replacing($1, with: Redactor.mask) }
    return Redactor().redact(text)
  }

  /// The values of all options that are, or nearly are, those of secrets.
  private static func values(of arguments: [String]) -> [String] {
    var values: [String] = []
    for (index, argument) in arguments.enumerated() where argument.hasPrefix("-") {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard mayNameSecret(String(parts[0])) else { continue }
      if parts.count == 2 {
        values.append(String(parts[1]))
      } else if index + 1 < arguments.count {
        values.append(arguments[index + 1])
      }
    }
    return values.filter { !$0.isEmpty }
  }

  /// Flags whose value is shown: they are known, and no secrets.
  private static let harmless = Set(Settings.definitions.filter { !$0.isSecret }.map(\.key.flag))

  private static func mayNameSecret(_ flag: String) -> Bool {
    guard !harmless.contains(flag) else { return false }
    if Redactor().isSecret(key: flag) { return true }
    return Settings.isNearSecret(flag: flag)
  }
}

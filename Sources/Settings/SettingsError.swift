/// What is missing or wrong with the settings, all of it at once. The process ends with status 78.
package struct SettingsError: Error, CustomStringConvertible {
  /// One sentence a fault, with the setting's name, what is wrong and a right value. None holds a secret.
  package let faults: [String]

  /// - Parameter faults: at least one.
  package init(faults: [String]) { self.faults = faults }

  /// All faults, a line each when there are several.
  package var description: String {
    guard faults.count > 1 else { return "setting: \(faults.first ?? "unknown fault")" }
    return (["\(faults.count) settings are missing or wrong:"] + faults.map { "  - \($0)" }).joined(separator: "\n")
  }
}

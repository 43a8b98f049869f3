internal import Synchronization

/// How the text of a setting becomes its value.
typealias SettingParser<Value> = @Sendable (String) throws(SettingFault) -> Value

/// A setting: its name, its default, what the documentation says about it, how its text is read, and its value. This is the only place that
/// has these: the names of the variable, the flag and the key in a configuration file, the help, and `Settings/markdownTable`, with which a test
/// compares the table of the page `Settings.md`, follow from it.
@propertyWrapper
package struct Setting<Value: Sendable>: Sendable {
  /// The value, parsed.
  package var wrappedValue: Value {
    get { box.value.withLock { $0 } }
    // A new box, so that copies of the settings do not change with this one.
    set { box = Box(newValue) }
  }

  /// What the setting says about itself.
  package let definition: SettingDefinition
  private let parse: SettingParser<Value>
  private var box: Box

  /// A class for `read`, which stores into a setting that was found by reflection.
  private final class Box: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
  }

  /// - Parameters:
  ///   - key: its name in a configuration file.
  ///   - kind: what its value is, for help: `--lease <time>`.
  ///   - unset: the value without a text.
  ///   - defaultText: parsed like a given value if there is none.
  ///   - note: what the documentation says in the default's place.
  ///   - example: a right value, for the message about a wrong one.
  ///   - isSecret: whether its value must not stand in a message.
  ///   - standard: a variable of another standard that gives the value if nothing of Baton's own does.
  ///   - meaning: half a sentence.
  init(
    _ key: Settings.Key, _ kind: String, unset: Value, default defaultText: String? = nil, note: String? = nil,
    example: String? = nil, isSecret: Bool = false, standard: String? = nil, _ meaning: String,
    _ parse: @escaping SettingParser<Value>
  ) {
    definition = SettingDefinition(
      key: key, kind: kind, defaultText: defaultText, defaultNote: note, meaning: meaning,
      example: example ?? defaultText ?? "", isSecret: isSecret, standardVariable: standard)
    self.parse = parse
    box = Box(unset)
  }

  /// A setting that always has a value. The default is ours: one that cannot be parsed is a mistake in the program.
  init(
    _ key: Settings.Key, _ kind: String, default defaultText: String, example: String? = nil, standard: String? = nil,
    _ meaning: String, _ parse: @escaping SettingParser<Value>
  ) {
    guard let value = try? parse(defaultText) else { preconditionFailure("the default of \(key.variable) is refused") }
    self.init(key, kind, unset: value, default: defaultText, example: example, standard: standard, meaning, parse)
  }

  /// A setting that may be missing.
  init<Given: Sendable>(
    _ key: Settings.Key, _ kind: String, example: String, isSecret: Bool = false, _ meaning: String,
    _ parse: @escaping SettingParser<Given>
  ) where Value == Given? {
    self.init(key, kind, unset: nil, example: example, isSecret: isSecret, meaning, parse)
  }
}

/// A setting as the outside sees it.
package struct SettingDefinition: Sendable {
  /// Its name.
  package let key: Settings.Key
  /// What its value is, for help.
  package let kind: String
  /// Parsed like a given value if there is none; nil leaves the setting unset.
  let defaultText: String?
  /// What the documentation says in the default's place, if that is no plain text.
  let defaultNote: String?
  /// Half a sentence.
  package let meaning: String
  /// A right value, for the message about a wrong one.
  let example: String
  /// Whether its value must not be shown.
  package let isSecret: Bool
  /// A variable of another standard, as OpenTelemetry's, that gives the value if nothing of Baton's own does.
  package let standardVariable: String?

  /// The environment's name of it.
  package var variable: String { key.variable }
  /// As a text, or "—" if there is none.
  package var `default`: String { defaultNote ?? defaultText ?? "—" }
}

/// A setting whose value may be of any type.
protocol AnySetting: Sendable {
  var definition: SettingDefinition { get }
  var anyValue: any Sendable { get }

  /// Takes the value of a text, before the settings are copied.
  func read(_ text: String) throws(SettingFault)
}

extension Setting: AnySetting {
  var anyValue: any Sendable { wrappedValue }

  func read(_ text: String) throws(SettingFault) {
    let value = try parse(text)
    box.value.withLock { $0 = value }
  }
}

/// Shows the value alone.
extension Setting: CustomReflectable {
  package var customMirror: Mirror { Mirror(self, children: ["value": wrappedValue]) }
}

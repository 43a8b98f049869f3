internal import Certificates
internal import Primitives
internal import Reviews

extension Settings {
  /// Reads all settings: flags win over the environment, which wins over the file, which wins over the defaults.
  ///
  /// White space at the ends of a value does not count, whatever the setting and its source: files with secrets end with a line's end.
  /// A variable without anything else counts as not given, as compose files and unit files write it. Unknown `BATON_*` variables are a
  /// warning, as they may belong to another version; unknown keys of the file and flags are faults. A secret that begins with `@` is the
  /// path of the file that holds it.
  /// - Parameters:
  ///   - flags: texts by key (`database_url`).
  ///   - environment: all of it; only `BATON_*` is looked at.
  ///   - file: path of a YAML or JSON file.
  ///   - keys: what the caller cannot do without.
  ///   - complete: may fill in what a demonstration needs no settings for; returns what else does not fit together.
  /// - Throws: every fault found, what is missing among them, in one error.
  package static func load(
    flags: [String: String], environment: [String: String], file: String?, requiring keys: [Key] = [],
    complete: (inout Settings) -> [String] = { _ in [] }
  ) throws(SettingsError) -> Settings {
    var faults: [String] = []
    var fileValues: [String: String] = [:]
    if let file {
      do { fileValues = try ConfigurationFile.read(file) } catch { faults += error.faults }
    }
    faults += unknown(flags.keys, in: "flag").sorted()
    faults += unknown(fileValues.keys, in: "key in \(file ?? "")").sorted()

    var settings = Settings()
    settings.warnings = unknownVariables(environment)
    for setting in settings.all {
      let definition = setting.definition
      let given = given(definition, flags, environment, fileValues)
      guard let text = (given?.text ?? definition.defaultText)?.trimmed else { continue }
      if given != nil { settings.given.insert(definition.key) }
      do {
        if let given { settings.warnings += exposures(definition, given, file: file) }
        try setting.read(try contents(text, of: definition, &settings.warnings))
      } catch {
        faults.append(message(definition, given?.source.name(of: definition.key) ?? "default", text, error))
      }
    }
    faults += settings.halfPairs
    faults += settings.sharedTokens
    faults += settings.fitLeaseToCall()
    settings.completeCallbackURL()
    faults += complete(&settings)
    faults += settings.missing(keys)
    guard faults.isEmpty else { throw SettingsError(faults: faults) }
    settings.warnAboutPairs()
    return settings
  }

  /// What the caller needs and was not given, a line each.
  private func missing(_ keys: [Key]) -> [String] {
    let faults = Self.definitions.compactMap { definition -> String? in
      let key = definition.key
      guard keys.contains(key), !given.contains(key), definition.defaultText == nil, definition.defaultNote == nil
      else {
        return nil
      }
      return "\(key.variable) is missing: \(definition.meaning); for example \(definition.example)"
    }
    // Only if they are used: an operator's machine need not have a role's certificates.
    return faults + (keys.contains(.amqpURL) ? certificateFaults : [])
  }

  /// A value, and where it was found.
  private struct Given {
    enum Source {
      case flag, variable, file
      case standard(String)

      func name(of key: Key) -> String {
        switch self {
        case .flag: key.flag
        case .variable: key.variable
        case .file: "`\(key)` in the configuration file"
        case .standard(let name): name
        }
      }
    }

    var text: String
    var source: Source
  }

  private static func given(
    _ definition: SettingDefinition, _ flags: [String: String], _ environment: [String: String],
    _ file: [String: String]
  ) -> Given? {
    let key = definition.key
    if let text = flags[key.name] { return Given(text: text, source: .flag) }
    if let text = environment[key.variable], !text.trimmed.isEmpty { return Given(text: text, source: .variable) }
    if let text = file[key.name] { return Given(text: text, source: .file) }
    guard let name = definition.standardVariable, let text = environment[name], !text.trimmed.isEmpty else {
      return nil
    }
    return Given(text: text, source: .standard(name))
  }

  /// Whether others on this machine can read a secret where it was given.
  private static func exposures(_ definition: SettingDefinition, _ given: Given, file: String?) -> [String] {
    let key = definition.key
    guard definition.isSecret, !given.text.trimmed.hasPrefix("@"), ShownValue.mayHoldSecret(given.text, of: key) else {
      return []
    }
    switch given.source {
    case .flag:
      return [
        "\(key.flag) holds a secret, which every user of this machine can read in the list of processes: give \(key.variable), "
          + "or the path of a file as \(key.flag) @/path"
      ]
    case .file where file.map(SecretFile.isReadableByAll) == true:
      return [
        "the configuration file holds `\(key)`, and every user of this machine can read it: chmod 600 \(file ?? "")"
      ]
    case .variable, .file, .standard: return []
    }
  }

  /// The text of the file that a secret names, or the text itself.
  private static func contents(
    _ text: String, of definition: SettingDefinition, _ warnings: inout [String]
  ) throws(SettingFault) -> String {
    guard definition.isSecret, text.hasPrefix("@") else { return text }
    let path = String(text.dropFirst())
    let contents = try SecretFile.read(path)
    if SecretFile.isReadableByAll(path) {
      warnings.append(
        "the file of \(definition.key.variable) can be read by every user of this machine: chmod 600 \(path)")
    }
    return contents.trimmed
  }

  private static func message(
    _ definition: SettingDefinition, _ source: String, _ text: String, _ fault: SettingFault
  ) -> String {
    let shown = definition.isSecret ? "" : ShownValue.quoted(text)
    let name = source == definition.key.variable ? source : "\(definition.key.variable) (\(source))"
    return "\(name):\(shown) \(fault.problem); a right value is \(definition.example)"
  }

  private static func unknown(_ keys: some Sequence<String>, in place: String) -> [String] {
    let known = definitions.map(\.key.name)
    return keys.filter { !known.contains($0) }.map { key in
      "unknown \(place): \(ShownValue.name(key)); the nearest known one is \(nearest(key, known))"
    }
  }

  /// `BATON_TEST_…` belongs to the tests.
  private static func unknownVariables(_ environment: [String: String]) -> [String] {
    let known = definitions.map(\.variable)
    return environment.keys
      .filter { $0.hasPrefix("BATON_") && !$0.hasPrefix("BATON_TEST_") && !known.contains($0) }
      .sorted()
      .map { "unknown variable \($0) is ignored; the nearest known one is \(nearest($0, known))" }
  }

  /// Wildcard addresses can be listened on but not called.
  private mutating func completeCallbackURL() {
    guard !given.contains(.callbackURL) else { return }
    let host = ["0.0.0.0", "::"].contains(httpHost) ? "127.0.0.1" : httpHost
    callbackURL = "http://\(host.contains(":") ? "[\(host)]" : host):\(httpPort)"
  }

  /// Settings that mean something only together with another one that was not given.
  private var halfPairs: [String] {
    let pairs: [(given: Key, needed: Key)] = [
      (.posthogURL, .posthogKey), (.posthogKey, .posthogURL), (.actorHeader, .trustedProxies),
    ]
    return pairs.filter { given.contains($0.given) && !given.contains($0.needed) }.map {
      "\($0.needed.variable) is missing, as \($0.given.variable) is set"
    }
  }

  /// A token in both lists would act, whichever list its owner meant.
  private var sharedTokens: [String] {
    guard let apiToken, let readToken, !Set(apiToken.all).isDisjoint(with: readToken.all) else { return [] }
    return [
      "BATON_READ_TOKEN holds a token of BATON_API_TOKEN, which may do more than read; a right value is another token"
    ]
  }

  private mutating func warnAboutPairs() {
    if let caFile { warnings += CertificateFile.warnings(aboutAuthorities: caFile) }
    if retryMax < retryBase {
      warnings.append("BATON_RETRY_MAX is less than BATON_RETRY_BASE, so every wait has the maximum as its ceiling")
    }
  }

  /// A lease has to outlast the preparation and the call to the worker. If only one of the two times is given, the other one's default
  /// follows it.
  /// - Returns: a fault if both are given and cannot be together.
  private mutating func fitLeaseToCall() -> [String] {
    guard leaseDuration < workerTimeout * 2 else { return [] }
    guard given.contains(.prepareTimeout) else {
      leaseDuration = workerTimeout + .seconds(50)
      return []
    }
    guard given.contains(.workerTimeout) else {
      workerTimeout = leaseDuration / 2
      return []
    }
    guard leaseDuration <= workerTimeout else { return [] }
    return [
      """
      BATON_PREPARE_TIMEOUT (\(Self.text(leaseDuration))) must exceed BATON_WORKER_TIMEOUT (\(Self.text(workerTimeout))), or every \
      lease runs out while the worker is called; twice as long is right
      """
    ]
  }

  private static func text(_ duration: Duration) -> String {
    let seconds = duration / .seconds(1)
    return seconds == seconds.rounded() ? "\(Int(seconds))s" : "\(Int(seconds * 1000))ms"
  }
}

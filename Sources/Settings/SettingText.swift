internal import Certificates
internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// What is wrong with one value; the caller adds the setting's name, the value and an example.
struct SettingFault: Error {
  let problem: String

  init(_ problem: String) { self.problem = problem }
}

/// Makes values of texts. None of the messages repeats the text: it may be a secret.
enum SettingText {
  /// A text with something in it.
  static func plain(_ text: String) throws(SettingFault) -> String {
    guard !text.allSatisfy(\.isWhitespace) else { throw SettingFault("is empty") }
    return text
  }

  static func secret(_ text: String) throws(SettingFault) -> Secret {
    let text = try plain(text)
    guard text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
      throw SettingFault("holds a line break or a control character, which no HTTP header can carry")
    }
    return Secret(text)
  }

  /// Secrets, the newest first, separated by commas.
  /// - Parameter shortest: the fewest bytes that each must have.
  static func secrets(shortest: Int = 1) -> SettingParser<SecretList> {
    { text throws(SettingFault) in try secrets(text, shortest: shortest) }
  }

  private static func secrets(_ text: String, shortest: Int = 1) throws(SettingFault) -> SecretList {
    var secrets: [Secret] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let part = part.trimmed
      guard !part.isEmpty else { throw SettingFault("is empty, or has an empty part between its commas") }
      guard part.utf8.count >= shortest else {
        throw SettingFault("is shorter than \(shortest) bytes, so it can be guessed")
      }
      secrets.append(try secret(part))
    }
    guard let current = secrets.first else { throw SettingFault("is empty") }
    return SecretList(current, former: Array(secrets.dropFirst()))
  }

  static func integer(_ range: ClosedRange<Int>) -> SettingParser<Int> {
    { text throws(SettingFault) in
      guard let value = Int(text) else { throw SettingFault("is not a whole number") }
      guard range.contains(value) else {
        throw SettingFault("is not within \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
  }

  /// From 0 to 1.
  static func ratio(_ text: String) throws(SettingFault) -> Double {
    guard let value = Double(text), value.isFinite else { throw SettingFault("is not a number") }
    guard (0...1).contains(value) else { throw SettingFault("is not within 0 to 1") }
    return value
  }

  static func port(_ text: String) throws(SettingFault) -> Int { try integer(1...65535)(text) }

  /// A port, or `nil` for `off`; YAML's other words for it count as well.
  static func optionalPort(_ text: String) throws(SettingFault) -> Int? {
    ["off", "false", "no"].contains(text.lowercased()) ? nil : try port(text)
  }

  /// A word or a label, or `nil` for `off`.
  static func optionalWord(_ text: String) throws(SettingFault) -> String? {
    if ["off", "false", "no"].contains(text.lowercased()) { return nil }
    let word = try plain(text)
    guard word.utf8.count <= 50, !word.contains(where: \.isNewline) else {
      throw SettingFault("is longer than 50 bytes, or has a line break")
    }
    return word
  }

  static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>() -> SettingParser<Choice> {
    { text throws(SettingFault) in
      guard let value = Choice(rawValue: text.lowercased()) else {
        throw SettingFault("is none of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return value
    }
  }

  static func duration(min: Duration) -> SettingParser<Duration> {
    { text throws(SettingFault) in
      guard let value = Settings.duration(text) else { throw SettingFault("is not a duration (ms, s, m, h or d)") }
      guard value >= min else { throw SettingFault(min == .zero ? "is negative" : "must be more than zero") }
      guard value <= .seconds(3650 * 86400) else { throw SettingFault("is longer than ten years") }
      return value
    }
  }

  /// RabbitMQ's rules for a name: up to 255 bytes, and `amq.` is its own.
  static func queueName(_ text: String) throws(SettingFault) -> String {
    let text = try plain(text)
    guard text.utf8.count <= 255 else { throw SettingFault("is longer than 255 bytes") }
    guard !text.hasPrefix("amq.") else { throw SettingFault("begins with amq., which RabbitMQ keeps for itself") }
    return text
  }

  static func appID(_ text: String) throws(SettingFault) -> String {
    guard !text.isEmpty, text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") }) else {
      throw SettingFault("is neither an App's number nor its client ID")
    }
    return text
  }

  /// A file with at least one certificate of an authority that is valid now.
  static func authorityFile(_ text: String) throws(SettingFault) -> String {
    let path = try plain(text)
    if let fault = CertificateFile.fault(inAuthorities: path) { throw SettingFault("names a file that \(fault)") }
    return path
  }

  /// 32 bytes in base64 each, separated by commas.
  static func encryptionKeys(_ text: String) throws(SettingFault) -> SecretList {
    let keys = try secrets(text)
    for key in keys.all {
      guard let bytes = base64(key.reveal()) else { throw SettingFault("is not base64") }
      guard bytes.count == 32 else { throw SettingFault("is \(bytes.count) bytes long, not 32") }
    }
    return keys
  }

  static func base64(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }

  /// PEM text, in every form that environments hold it in: see ``PEMText``.
  static func privateKey(_ text: String) throws(SettingFault) -> Secret {
    let text = PEMText.normalized(text)
    guard text.contains("-----BEGIN "), text.contains("PRIVATE KEY-----"), text.contains("-----END ") else {
      throw SettingFault("is not a private key in PEM (-----BEGIN … PRIVATE KEY-----)")
    }
    return Secret(text)
  }
}

extension Settings {
  /// Reads a duration: `250ms`, `10s`, `5m`, `1h`, `90d`; a bare number is seconds. Fractions are allowed.
  /// - Returns: `nil` if the text is none.
  package static func duration(_ text: String) -> Duration? {
    let number = text.prefix { $0.isASCII && $0.isNumber || $0 == "." || $0 == "-" }
    let scales = ["": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let scale = scales[String(text.dropFirst(number.count))], let value = Double(number),
      abs(value * scale) < 1e12
    else { return nil }
    return .milliseconds(Int64((value * scale * 1000).rounded()))
  }
}

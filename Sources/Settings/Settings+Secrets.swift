package import Primitives
internal import Reviews

extension Settings {
  /// Every secret of these settings as it could be printed: whole, and in its parts: a password within a URL, a line of a key.
  ///
  /// Found by their type, so that no setting can be forgotten.
  package var secretTexts: [Secret] {
    var texts: Set<String> = []
    for secret in Self.secrets(in: self) {
      let text = secret.reveal()
      texts.insert(text)
      texts.formUnion(Self.passwords(in: text))
      // A private key is printed line by line. Its first and last line are no secret.
      texts.formUnion(text.split(whereSeparator: \.isNewline).map(String.init).filter { !$0.hasPrefix("-----") })
    }
    return texts.sorted { $0.utf8.count > $1.utf8.count }.map { Secret($0) }
  }

  /// The secrets that others may try to guess and that are shorter than ``tokenByteCountMin``, one sentence for each setting. They are no faults:
  /// earlier releases took them without a word.
  /// - Parameter keys: the settings that a role uses.
  package func shortSecretWarnings(of keys: Set<Key>) -> [String] {
    let compared: [(key: Key, list: SecretList?)] = [
      (.workerToken, workerToken), ("callback_secret", callbackSecret), ("github_webhook_secret", githubWebhookSecret),
      ("gitlab_webhook_secret", gitlabWebhookSecret),
    ]
    return compared.compactMap { key, list in
      guard keys.contains(key), list?.all.contains(where: { $0.reveal().utf8.count < Self.tokenByteCountMin }) == true
      else { return nil }
      return
        "\(key.variable) is, or holds, a secret shorter than \(Self.tokenByteCountMin) bytes, which can be guessed: "
        + "use the output of `openssl rand -hex 32`, as \"new,old\" until both sides have it"
    }
  }

  private static func secrets(in value: Any) -> [Secret] {
    if let secret = value as? Secret { return [secret] }
    if let setting = value as? any AnySetting { return secrets(in: setting.anyValue) }
    return Mirror(reflecting: value).children.flatMap { secrets(in: $0.value) }
  }

  /// The password of a URL, encoded and decoded, and the one of a conninfo. Up to the last `@`, as a raw one may be part of it.
  private static func passwords(in text: String) -> [String] {
    var found = text.matches(of: /:\/\/[^:@\/]*:(.+)@/).map { String($0.1) }
    for match in text.matches(of: /(?:^|[\s?&])password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&']+))/) {
      found.append(String(match.1 ?? match.2 ?? ""))
    }
    return found.flatMap { [$0, percentDecoded($0)] }
  }

  /// Leaves as it is what is not encoded.
  static func percentDecoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let code = UInt8(String(Substring(rest.prefix(2))), radix: 16) {
        bytes.append(code)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

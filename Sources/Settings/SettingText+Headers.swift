internal import Primitives
internal import Reviews

extension SettingText {
  /// `name=value,name=value`, with percent-encoded values, as OpenTelemetry has it.
  static func headers(_ text: String) throws(SettingFault) -> [Settings.HTTPHeader] {
    var headers: [Settings.HTTPHeader] = []
    for part in text.split(separator: ",") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = pair[0].trimmed
      guard pair.count == 2, !name.isEmpty, name.allSatisfy(isOfName) else {
        throw SettingFault("is not a list of name=value")
      }
      headers.append(
        Settings.HTTPHeader(name: name.lowercased(), value: try secret(Settings.percentDecoded(pair[1].trimmed))))
    }
    guard !headers.isEmpty else { throw SettingFault("is empty") }
    return headers
  }

  /// A character of a token of HTTP (RFC 9110, 5.6.2).
  private static func isOfName(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "!#$%&'*+-.^_`|~".contains(character))
  }
}

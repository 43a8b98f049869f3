/// What the reference worker's agents get, and how they are kept apart.
extension SettingText {
  /// Names of environment variables, separated by commas; a name may end in `*`.
  static func variableNames(_ text: String) throws(SettingFault) -> [String] {
    var names: [String] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let name = part.trimmed
      let stem = name.hasSuffix("*") ? name.dropLast() : name[...]
      guard let first = stem.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first),
        stem.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
      else { throw SettingFault("has a part that is no name of a variable; only the last character may be a `*`") }
      guard !stem.hasPrefix("BATON_"), !(name.hasSuffix("*") && "BATON_".hasPrefix(stem)) else {
        throw SettingFault("names variables of Baton itself, which an agent never gets")
      }
      names.append(String(name))
    }
    return names
  }

  /// User ids, first and last. None of them is root's.
  static func userIDs(_ text: String) throws(SettingFault) -> ClosedRange<UInt32> {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0.trimmed) }
    guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else {
      throw SettingFault("is not two user ids, the smaller first")
    }
    // The last two mean "unchanged" or nothing to the kernel's calls.
    guard first > 0, last < UInt32.max - 1 else { throw SettingFault("has root's user id, or one that cannot be") }
    return first...last
  }
}

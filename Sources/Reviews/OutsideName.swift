/// The rules for names that come from outside and become words of commands, paths and prompts.
///
/// Each function returns what is wrong with a name, or nil. The database has the same rules (`v0031_lean_triggers.sql`), so that they hold for
/// applications that insert with SQL; `NameTests` holds the two against each other.
package enum OutsideName {
  /// A branch, or another ref of git. Refused is what git itself refuses (`git check-ref-format`), and a hyphen in front, which would
  /// make it an option of a command.
  package static func refFault(_ name: String) -> String? {
    let bytes = Array(name.utf8)
    guard let first = bytes.first, let last = bytes.last else { return "empty" }
    if first == UInt8(ascii: "-") { return "a branch cannot begin with a hyphen" }
    if let byte = bytes.first(where: isRefusedInRef) { return "a branch cannot have \(visible(byte))" }
    if first == UInt8(ascii: "/") || last == UInt8(ascii: "/") || name.utf8Contains("//") {
      return "a branch's parts cannot be empty"
    }
    if name == "@" || name.utf8Contains("@{") || name.utf8Contains("..") || last == UInt8(ascii: ".") {
      return "a branch cannot be \"@\", have \"@{\" or \"..\", or end with a period"
    }
    let parts = bytes.split(separator: UInt8(ascii: "/"))
    let isPart = { (part: ArraySlice<UInt8>) in part.first != UInt8(ascii: ".") && !part.ends(with: Array(".lock".utf8))
    }
    return parts.allSatisfy(isPart) ? nil : "a branch's parts cannot begin with a period or end with \".lock\""
  }

  /// A repository: `owner/name` at GitHub, the path of a project at GitLab.
  package static func repositoryFault(_ name: String) -> String? {
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let isName =
      parts.count >= 2 && name.utf8.first != UInt8(ascii: "-")
      && parts.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
      && name.utf8.allSatisfy { $0.isLetterOrDigit || "-._+/".utf8.contains($0) }
    return isName ? nil : "expected owner/name of letters, digits, \".\", \"_\", \"+\" and \"-\", as in \"acme/shop\""
  }

  /// A commit. Platforms have 40 or 64 hexadecimal digits today; any word of letters, digits and hyphens can do no harm.
  package static func commitFault(_ name: String) -> String? {
    let isName =
      name.utf8.first?.isLetterOrDigit == true
      && name.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }
    return isName ? nil : "expected a commit, of letters, digits and hyphens, as in \"6dcb09b5\""
  }

  /// An account's name, which is only shown: on one line.
  package static func authorFault(_ name: String) -> String? {
    if name.isEmpty { return "empty" }
    return name.utf8.contains(where: isControl) ? "has a control character" : nil
  }

  /// A web address, which is shown and linked: of the characters that RFC 3986 has, and without a user in front of the host.
  package static func addressFault(_ text: String) -> String? {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 3, omittingEmptySubsequences: false)
    let isAddress =
      (text.hasPrefix("https://") || text.hasPrefix("http://")) && parts.count >= 3 && !parts[2].isEmpty
      && !parts[2].contains(UInt8(ascii: "@"))
      && text.utf8.allSatisfy { byte in byte > 0x20 && byte < 0x7F && !"\"<>\\^`{|}".utf8.contains(byte) }
    return isAddress ? nil : "expected an http or https URL, as in \"https://github.com/acme/shop/pull/7\""
  }

  private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7F }
  private static func isRefusedInRef(_ byte: UInt8) -> Bool {
    isControl(byte) || byte == 0x20 || "~^:?*[\\".utf8.contains(byte)
  }

  private static func visible(_ byte: UInt8) -> String {
    isControl(byte) ? "a control character" : byte == 0x20 ? "a space" : "\"\(Character(Unicode.Scalar(byte)))\""
  }
}

extension OutsideName {
  /// What is wrong with the names of a stored review, the first with its column; nil if they can be used. Rows from before the
  /// database refused such names are still there.
  package static func fault(of review: LeasedReview) -> String? {
    let checks = [
      ("repo_full_name", repositoryFault(review.repoFullName)), ("base_ref", refFault(review.baseRef)),
      ("head_ref", refFault(review.headRef)), ("head_sha", commitFault(review.headSha)),
    ]
    return checks.lazy.compactMap { column, fault in fault.map { "\(column): \($0)" } }.first
  }
}

extension String {
  /// Whether a text of ASCII stands anywhere in this one.
  fileprivate func utf8Contains(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { part in
      let bytes = Array(utf8)
      guard bytes.count >= part.count else { return false }
      return (0...(bytes.count - part.count)).contains { start in bytes[start..<start + part.count].elementsEqual(part)
      }
    }
  }
}

extension Collection<UInt8> {
  fileprivate func ends(with suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}

extension UInt8 {
  fileprivate var isLetterOrDigit: Bool {
    (48...57).contains(self) || (65...90).contains(self) || (97...122).contains(self)
  }
}

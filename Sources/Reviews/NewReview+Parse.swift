package import FoundationEssentials
package import Primitives

extension NewReview {
  /// The longest text of one field, in bytes; titles may be longer than names.
  package static let byteCountMax = 512
  private static let titleByteCountMax = 4_096

  /// Reads a review from JSON and checks every field, so that one answer names all the faults.
  package init(json: Data) throws(NewReviewFaults) {
    guard let value = try? JSONValue(json: json) else {
      throw NewReviewFaults(isMalformed: true, faults: ["not valid JSON"])
    }
    try self.init(json: value)
  }

  /// Reads a review from a JSON value; the same checks as ``init(json:)-(Data)``.
  package init(json: JSONValue) throws(NewReviewFaults) {
    guard case .object(let fields) = json else {
      throw NewReviewFaults(isMalformed: true, faults: ["expected a JSON object with the fields of one review"])
    }
    var reader = NewReviewReader(fields: fields)
    let owner = reader.owner()
    let platform = reader.platform()
    let prNumber = reader.integer("prNumber", in: 1...Int64(Int32.max))
    let priority = reader.integer("priority", in: Int64(Int16.min)...Int64(Int16.max), isOptional: true)
    let projectID = reader.integer("platformProjectId", in: 1...Int64.max, isOptional: true)
    let repositoryID = reader.integer("platformRepositoryId", in: 1...Int64.max, isOptional: true)
    let integrationID = reader.uuid("platformIntegrationId")
    let repository = reader.name("repoFullName", max: Self.byteCountMax, OutsideName.repositoryFault)
    let url = reader.name("prUrl", max: 2_048, OutsideName.addressFault)
    let title = reader.text("prTitle", max: Self.titleByteCountMax, mayBeEmpty: true)
    let author = reader.name("prAuthor", max: Self.byteCountMax, OutsideName.authorFault)
    let baseRef = reader.name("baseRef", max: Self.byteCountMax, OutsideName.refFault)
    let headRef = reader.name("headRef", max: Self.byteCountMax, OutsideName.refFault)
    let sha = reader.name("headSha", max: 64, OutsideName.commitFault)
    let availableAt = reader.time("availableAt")
    let userID = reader.text("userId", max: Self.byteCountMax, isOptional: true)
    guard reader.faults.isEmpty, let owner, let platform, let prNumber, let repository, let url, let title, let author,
      let baseRef, let headRef, let sha
    else { throw NewReviewFaults(isNameRefused: reader.areNamesAtFault, faults: reader.faults) }
    self.init(
      owner: owner, userId: userID, platform: platform, platformIntegrationId: integrationID,
      platformProjectId: projectID, platformRepositoryId: repositoryID, repoFullName: repository,
      prNumber: Int(prNumber), prUrl: url, prTitle: title,
      prAuthor: author, baseRef: baseRef, headRef: headRef, headSha: sha.lowercased(),
      priority: priority.map { Int($0) }, availableAt: availableAt)
  }
}

/// Takes typed fields out of a JSON object and collects what is wrong with them.
private struct NewReviewReader {
  let fields: [String: JSONValue]
  var faults: [String] = []
  /// Whether all that is wrong are names that are refused.
  var areNamesAtFault: Bool { !faults.isEmpty && refusedNameCount == faults.count }
  private var refusedNameCount = 0

  init(fields: [String: JSONValue]) { self.fields = fields }

  /// A text that has to be a name. One that is too long is refused like any other.
  mutating func name(_ name: String, max byteCountMax: Int, _ fault: (String) -> String?) -> String? {
    guard let text = text(name, max: .max) else { return nil }
    guard let fault = Self.lengthFault(text, max: byteCountMax) ?? fault(text) else { return text }
    faults.append("\(name): \(fault)")
    refusedNameCount += 1
    return nil
  }

  mutating func text(
    _ name: String, max byteCountMax: Int, isOptional: Bool = false, mayBeEmpty: Bool = false
  ) -> String? {
    switch fields[name] {
    case nil, .null?:
      if !isOptional { faults.append("\(name): missing") }
      return nil
    case .string(let text)?:
      if text.isEmpty && !mayBeEmpty {
        faults.append("\(name): empty")
      } else if let fault = Self.lengthFault(text, max: byteCountMax) {
        faults.append("\(name): \(fault)")
      } else if text.utf8.contains(0) {
        faults.append("\(name): holds a NUL character")
      } else {
        return text
      }
      return nil
    case .some:
      faults.append("\(name): expected a string")
      return nil
    }
  }

  private static func lengthFault(_ text: String, max byteCountMax: Int) -> String? {
    let count = text.utf8.count
    return count > byteCountMax ? "\(count) bytes, at most \(byteCountMax) are allowed" : nil
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int64>, isOptional: Bool = false) -> Int64? {
    switch fields[name] {
    case nil, .null?:
      if !isOptional { faults.append("\(name): missing") }
      return nil
    case .integer(let number)? where range.contains(number): return number
    case .some:
      faults.append("\(name): expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
  }

  mutating func uuid(_ name: String) -> UUID? {
    switch fields[name] {
    case nil, .null?: return nil
    case .string(let text)?:
      if let id = UUID(uuidString: text) { return id }
      fallthrough
    case .some:
      faults.append("\(name): expected a UUID")
      return nil
    }
  }

  mutating func time(_ name: String) -> Timestamp? {
    switch fields[name] {
    case nil, .null?: return nil
    case .string(let text)?:
      if let time = Timestamp(text) { return time }
      fallthrough
    case .some:
      faults.append("\(name): expected an RFC 3339 time, as in 2026-11-28T08:00:00Z")
      return nil
    }
  }

  mutating func platform() -> Platform? {
    if case .string(let text)? = fields["platform"], let platform = Platform(rawValue: text) { return platform }
    faults.append("platform: expected \"github\" or \"gitlab\"")
    return nil
  }

  mutating func owner() -> Owner? {
    guard case .object(let owner)? = fields["owner"] else {
      faults.append(#"owner: expected an object, as in {"type":"org","id":"acme"}"#)
      return nil
    }
    var kind: Owner.Kind?
    if case .string(let text)? = owner["type"] { kind = Owner.Kind(rawValue: text) }
    if kind == nil { faults.append("owner.type: expected \"user\" or \"org\"") }
    var reader = NewReviewReader(fields: owner)
    let id = reader.text("id", max: 256)
    faults += reader.faults.map { "owner.\($0)" }
    guard let kind, let id else { return nil }
    return Owner(type: kind, id: id)
  }
}

internal import FoundationEssentials
internal import HTTPTypes
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// What is wrong with the body of a start, each fault with the field it is about.
struct StartFaults: Error, Equatable, CustomStringConvertible {
  var faults: [String]
  var description: String { faults.joined(separator: "; ") }

  /// The longest run that is taken on, in minutes.
  static let minutesMax = 1_440

  /// Reads a start.
  /// - Parameter idempotencyKey: the header's value; if it is present, it has to name the body's review and attempt.
  static func parse(_ body: [UInt8], idempotencyKey: String?) throws(StartFaults) -> StartRequest {
    let data = Data(body)
    guard let request = try? JSONCoding.decode(StartRequest.self, from: data) else {
      guard let value = try? JSONValue(json: data), case .object(let fields) = value else {
        throw StartFaults(faults: ["not a JSON object"])
      }
      throw StartFaults(faults: shapeFaults(fields))
    }
    let faults = valueFaults(request, idempotencyKey: idempotencyKey)
    guard faults.isEmpty else { throw StartFaults(faults: faults) }
    return request
  }

  private static func valueFaults(_ request: StartRequest, idempotencyKey: String?) -> [String] {
    let input = request.sessionInput
    var faults: [String] = []
    if request.attempt < 1 { faults.append("attempt: expected a whole number from 1") }
    if !(1...minutesMax).contains(request.maxReviewTimeMinutes) {
      faults.append("maxReviewTimeMinutes: expected a whole number from 1 to \(minutesMax)")
    }
    if (input.githubRepo == nil) == (input.gitUrl == nil) {
      faults.append("sessionInput: expected either githubRepo or gitUrl")
    }
    if let fault = input.githubRepo.flatMap(OutsideName.repositoryFault) {
      faults.append("sessionInput.githubRepo: \(fault)")
    }
    if let fault = OutsideName.refFault(input.upstreamBranch) {
      faults.append("sessionInput.upstreamBranch: \(fault)")
    }
    let key = StartRequest.idempotencyKey(reviewID: request.reviewId, attempt: request.attempt)
    if let idempotencyKey, idempotencyKey.lowercased() != key {
      faults.append("Idempotency-Key: expected reviewId/attempt, as in the body")
    }
    return faults
  }

  /// Names what kept the body from being decoded.
  private static func shapeFaults(_ fields: [String: JSONValue]) -> [String] {
    var check = ShapeCheck()
    check.text("reviewId", in: fields, isValid: { UUID(uuidString: $0) != nil }, expected: "a UUID")
    check.integer("attempt", in: fields)
    check.integer("maxReviewTimeMinutes", in: fields)
    check.text("authToken", in: fields)
    for name in ["agentVersion", "previousCloudAgentSessionId"] { check.text(name, in: fields, isOptional: true) }
    check.object("sessionInput", in: fields) { check, fields in
      for name in ["prompt", "mode", "model", "upstreamBranch"] { check.text(name, in: fields) }
      for name in ["githubRepo", "gitUrl", "githubToken", "gitToken", "variant", "gateThreshold"] {
        check.text(name, in: fields, isOptional: true)
      }
      check.text("platform", in: fields, isValid: { Platform(rawValue: $0) != nil }, expected: "github or gitlab")
    }
    check.object("owner", in: fields) { check, fields in
      check.text("type", in: fields, isValid: { Owner.Kind(rawValue: $0) != nil }, expected: "user or org")
      check.text("id", in: fields)
      check.text("userId", in: fields, isOptional: true)
    }
    return check.faults.isEmpty ? ["not the JSON of a start"] : check.faults
  }
}

/// Collects faults of fields, each with its path.
private struct ShapeCheck {
  var faults: [String] = []
  private var path = ""

  mutating func text(
    _ name: String, in fields: [String: JSONValue], isOptional: Bool = false, isValid: (String) -> Bool = { _ in true },
    expected: String = "a string"
  ) {
    switch fields[name] {
    case nil, .null?: if !isOptional { faults.append("\(path)\(name): missing") }
    case .string(let text)? where isValid(text): break
    case .some: faults.append("\(path)\(name): expected \(expected)")
    }
  }

  mutating func integer(_ name: String, in fields: [String: JSONValue]) {
    switch fields[name] {
    case nil, .null?: faults.append("\(path)\(name): missing")
    case .integer?: break
    case .some: faults.append("\(path)\(name): expected a whole number")
    }
  }

  mutating func object(
    _ name: String, in fields: [String: JSONValue], _ body: (inout ShapeCheck, [String: JSONValue]) -> Void
  ) {
    switch fields[name] {
    case nil, .null?: faults.append("\(path)\(name): missing")
    case .object(let inner)?:
      path = "\(name)."
      body(&self, inner)
      path = ""
    case .some: faults.append("\(path)\(name): expected an object")
    }
  }
}

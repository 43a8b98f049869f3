internal import AsyncHTTPClient
internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Reviews
package import WorkerAPI

/// The agent of the sandbox: reads the difference of a run's pull request from ``FakePlatform``, and reports what rules find in the
/// lines that were added. It needs no model, no interpreter, and no network beyond this machine's loopback.
package struct SandboxAgent: Sendable {
  private let api: String

  /// Files of one page.
  private static let pageSize = 100
  private static let pageMax = 30
  private static let timeout: TimeAmount = .seconds(30)
  private static let bodyByteCountMax = 16 << 20

  /// - Parameter api: the stand-in's base URL.
  package init(api: String) { self.api = api }

  /// Reviews the pull request of a start.
  /// - Parameters:
  ///   - start: the body of the worker's `POST /review`.
  ///   - print: is given lines in the form of the reference worker, each a JSON object.
  /// - Throws: ``SandboxAgent/Fault``, or what the HTTP client throws.
  package func review(_ start: StartRequest, print: (String) throws -> Void) async throws {
    try print(AgentOutputLine(sessionId: "sandbox-\(start.reviewId.lowercase)-\(start.attempt)").json())
    guard let pullRequest = PullRequestAddress(start) else { throw Fault.noPullRequest }
    let files = try await files(pullRequest, token: start.sessionInput.githubToken ?? start.sessionInput.gitToken)
    let lineCount = files.reduce(0) { $0 + $1.added.count }
    try print(
      AgentOutputLine(event: "reading", message: "\(pullRequest.label): \(files.count) files, \(lineCount) lines added")
        .json())
    let findings = Rule.findings(in: files)
    for finding in findings {
      try print(AgentOutputLine(event: "finding", message: finding.message, content: .init(finding)).json())
    }
    try print(AgentOutputLine(event: "summary", message: Self.summary(findings, files)).json())
    try print(
      AgentOutputLine(
        usage: Usage(model: "sandbox-rules", totalTokensIn: 0, totalTokensOut: 0, totalCostMicroUSD: 0),
        gateResult: Self.gate(start.sessionInput.gateThreshold, findings)
      ).json())
  }

  /// nil without a gate.
  static func gate(_ threshold: String?, _ findings: [Finding]) -> GateResult? {
    let least: Severity
    switch threshold {
    case "all": least = .suggestion
    case "warning": least = .warning
    case "critical": least = .critical
    default: return nil
    }
    return findings.contains { $0.severity >= least } ? .fail : .pass
  }

  private static func summary(_ findings: [Finding], _ files: [FileDiff]) -> String {
    let counts = Severity.allCases.reversed().map { severity in
      "\(findings.count { $0.severity == severity }) \(severity.rawValue)"
    }
    let hidden = files.count { !$0.isShown }
    return "findings: " + counts.joined(separator: ", ")
      + (hidden > 0 ? "; not shown by the platform: \(hidden) files" : "")
  }

  private func files(_ place: PullRequestAddress, token: String?) async throws -> [FileDiff] {
    var files: [FileDiff] = []
    for page in 1...Self.pageMax {
      var request = HTTPClientRequest(url: "\(api)\(place.filesPath)?per_page=\(Self.pageSize)&page=\(page)")
      if let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
      let response = try await HTTPClient.shared.execute(request, timeout: Self.timeout)
      let body = try await response.body.collect(upTo: Self.bodyByteCountMax)
      guard response.status.code == 200 else { throw Fault.answered(Int(response.status.code)) }
      let elements = try JSONCoding.decode([ChangedFile].self, from: Data(body.readableBytesView))
      files += elements.map { FileDiff(path: $0.filename ?? $0.new_path ?? "?", patch: $0.patch ?? $0.diff) }
      if elements.count < Self.pageSize { break }
    }
    return files
  }

  /// Why a review could not be made.
  package enum Fault: Error, Equatable, CustomStringConvertible {
    case noPullRequest
    case answered(Int)

    package var description: String {
      switch self {
      case .noPullRequest: "the prompt names no pull request"
      case .answered(let status): "the stand-in answered \(status) when asked for the difference"
      }
    }
  }
}

/// Where a pull request's difference is to be had.
struct PullRequestAddress: Sendable, Equatable {
  var filesPath: String
  var label: String

  /// Reads it from the prompt, as a model would: the payload has no number. The last place counts, since what people wrote stands
  /// before the instructions.
  init?(_ start: StartRequest) {
    let prompt = start.sessionInput.prompt
    switch start.sessionInput.platform {
    case .github:
      guard let repository = start.sessionInput.githubRepo,
        let number = Self.number(after: "repos/\(repository)/pulls/", in: prompt)
      else { return nil }
      filesPath = "/repos/\(repository)/pulls/\(number)/files"
      label = "\(repository)#\(number)"
    case .gitlab:
      guard let match = prompt.matches(of: /projects\/([^\/\s]+)\/merge_requests\/([0-9]+)/).last else { return nil }
      filesPath = "/api/v4/projects/\(match.1)/merge_requests/\(match.2)/diffs"
      label = "project \(match.1)!\(match.2)"
    }
  }

  private static func number(after prefix: String, in prompt: String) -> Int? {
    prompt.ranges(of: prefix).reversed().lazy
      .compactMap { Int(prompt[$0.upperBound...].prefix(while: \.isNumber)) }.first
  }
}

/// GitHub's file of a pull request, or GitLab's.
private struct ChangedFile: Decodable {
  var filename: String?
  var patch: String?
  var new_path: String?
  var diff: String?
}

/// A line as the reference worker reads it.
private struct AgentOutputLine: Encodable {
  var event: String?
  var message: String?
  var content: Content?
  var sessionId: String?
  var usage: Usage?
  var gateResult: GateResult?

  struct Content: Encodable {
    var severity: String
    var path: String
    var line: Int
    var lines: Int

    init(_ finding: Finding) {
      severity = finding.severity.rawValue
      path = finding.path
      line = finding.line
      lines = finding.lineCount
    }
  }

  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

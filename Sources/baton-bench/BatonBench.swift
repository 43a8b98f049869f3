internal import Assembly
internal import Dispatching
internal import FoundationEssentials
internal import Logging
internal import Platforms
internal import Primitives
internal import Reviews
internal import Settings
internal import Telemetry
internal import WorkerAPI

/// `baton-bench consume`: the consumer as it is, with the preparation replaced by a constant, so that a benchmark shows what the
/// dispatching itself costs. Settings come from BATON_* variables.
@main
struct BatonBench {
  static func main() async throws {
    guard CommandLine.arguments.dropFirst() == ["consume"] else {
      print("usage: baton-bench consume")
      return
    }
    let settings = try Settings.load(flags: [:], environment: ProcessInfo.processInfo.environment, file: nil)
    bootstrapLogging(
      format: settings.logFormat,
      level: Logger.Level(rawValue: settings.logLevel.rawValue) ?? .info)
    let process = try DispatcherProcess(
      "bench", roles: [.consume], version: "bench", settings: settings, logger: Logger(label: "baton.bench"))
    var additions = ProcessAdditions()
    additions.preparer = ConstantPreparer()
    try await process.run(additions)
  }
}

/// Makes the payload of the row alone, with a prompt of 1.2 kB and a constant for the token: no call is made, nothing is signed.
struct ConstantPreparer: PayloadPreparer {
  private let authToken = String(repeating: "t", count: 240)
  private let prompt = String(repeating: "Review this pull request. ", count: 46)

  func targets(of review: LeasedReview) -> [String] { [] }

  func prepare(_ review: LeasedReview) async throws(PreparationError) -> PreparedPayload {
    let request = StartRequest(
      reviewId: review.id, attempt: review.attempt, authToken: authToken,
      sessionInput: SessionInput(
        githubRepo: review.repoFullName, prompt: prompt, model: "m", platform: review.platform,
        upstreamBranch: review.headRef),
      owner: RunOwner(type: review.owner.type, id: review.owner.id), maxReviewTimeMinutes: 10)
    return PreparedPayload(body: request.encode(), headSha: review.headSha, agentVersion: nil)
  }
}

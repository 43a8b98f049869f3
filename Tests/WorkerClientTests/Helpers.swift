import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import Primitives
import Reviews
import WorkerAPI
import WorkerClient

let token = Secret("sesame-open-4711")

func client(
  _ url: String, token: Secret = token, timeout: Duration = .seconds(20), connectionMax: Int = 64
) throws -> WorkerClient {
  try WorkerClient(
    baseURL: url, token: token, timeout: timeout, connectionMax: connectionMax, logger: Logger(label: "test"))
}

func startRequest(_ id: UUID, attempt: Int = 1, prompt: String = "Review this.") -> StartRequest {
  StartRequest(
    reviewId: id, attempt: attempt, authToken: "jwt",
    sessionInput: SessionInput(
      githubRepo: "acme/shop", prompt: prompt, model: "m", platform: .github, upstreamBranch: "feature"),
    owner: RunOwner(type: .org, id: "acme"), maxReviewTimeMinutes: 10)
}

extension WorkerClient {
  func start(_ request: StartRequest, trace: TraceContext? = nil) async -> DispatchOutcome {
    await start(request.encode(), reviewID: request.reviewId, attempt: request.attempt, trace: trace)
  }
}

/// The class of an outcome, without its words.
enum OutcomeClass: Equatable {
  case dispatched, unavailable, throttled(Duration?), ambiguous, refused, again, outage
}

extension DispatchOutcome {
  var kind: OutcomeClass {
    switch self {
    case .dispatched: .dispatched
    case .unavailable: .unavailable
    case .throttled(let retryAfter, _): .throttled(retryAfter)
    case .ambiguous: .ambiguous
    case .refused: .refused
    case .again: .again
    case .outage: .outage
    }
  }

  var message: String {
    switch self {
    case .dispatched: ""
    case .unavailable(let message), .throttled(_, let message), .refused(let message), .again(let message),
      .outage(let message):
      message
    case .ambiguous(let message, _): message
    }
  }
}

/// A port of 127.0.0.1 without a listener.
func unusedPort() async throws -> Int {
  let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .bind(host: "127.0.0.1", port: 0).get()
  let port = channel.localAddress?.port ?? 0
  try await channel.close().get()
  return port
}

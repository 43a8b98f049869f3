package import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Primitives
internal import Reviews
internal import Synchronization
package import WorkerAPI

/// A worker over real HTTP whose answers a test scripts, and which keeps a ledger of what it received.
///
/// Steps are taken in order, first from the review's own script, then from the common one; after that ``otherwise``. Like a
/// real worker it starts a review's attempt once, however often it is asked, until a test makes it forget.
package final class ScriptedWorker: Sendable {
  fileprivate struct Run {
    var attempt: Int
    var state: RunState
  }

  fileprivate struct Ledger {
    var script: [ScriptedStep] = []
    var scripts: [UUID: [ScriptedStep]] = [:]
    var otherwise = ScriptedStep.accept
    var runs: [UUID: Run] = [:]
    var runCounts: [String: Int] = [:]
    var starts: [ScriptedStart] = []
    var cancels: [ScriptedCancel] = []
    var statusRequests: [UUID] = []
    var lacksStatusRoute = false
    var hangsOnQuestions = false
    var events = ScriptedEvents.notKept
    var front: ScriptedFront?
    var connections: [ObjectIdentifier: any Channel] = [:]
    var connectionCount = 0
  }

  private let ledger = Mutex(Ledger())
  private let token: String?
  private let server = Mutex<(any Channel)?>(nil)

  /// Listens on a free port of 127.0.0.1 when it returns.
  /// - Parameters:
  ///   - script: the steps for starts, in order.
  ///   - token: if there is one, calls with another are answered with 401.
  package init(_ script: [ScriptedStep] = [], token: String? = nil) async throws {
    self.token = token
    ledger.withLock { $0.script = script }
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 1_024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture {
          guard let self else { return }
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
          try channel.pipeline.syncOperations.addHandler(ScriptedWorkerHandler(worker: self))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    server.withLock { $0 = channel }
  }

  /// The base URL.
  package var url: String { "http://127.0.0.1:\(server.withLock { $0?.localAddress?.port } ?? 0)" }

  /// Closes the port and every connection; the ledger stays.
  package func stop() async {
    let channels = ledger.withLock { Array($0.connections.values) } + [server.withLock { $0 }].compactMap { $0 }
    for channel in channels { try? await channel.close().get() }
  }

  // MARK: What it does

  /// Appends steps to the common script.
  package func then(_ steps: ScriptedStep...) { ledger.withLock { $0.script += steps } }

  /// Appends steps that are taken for one review only, before the common ones.
  package func then(for reviewID: UUID, _ steps: ScriptedStep...) {
    ledger.withLock { $0.scripts[reviewID, default: []] += steps }
  }

  /// The step for every start that no script covers.
  package var otherwise: ScriptedStep {
    get { ledger.withLock { $0.otherwise } }
    set { ledger.withLock { $0.otherwise = newValue } }
  }

  /// Whether `GET /reviews/{id}` is answered with 405.
  package var lacksStatusRoute: Bool {
    get { ledger.withLock { $0.lacksStatusRoute } }
    set { ledger.withLock { $0.lacksStatusRoute = newValue } }
  }

  /// Whether `GET /reviews/{id}` and cancels are read and never answered.
  package var hangsOnQuestions: Bool {
    get { ledger.withLock { $0.hangsOnQuestions } }
    set { ledger.withLock { $0.hangsOnQuestions = newValue } }
  }

  /// How `GET /reviews/{id}/events` is answered.
  package var events: ScriptedEvents {
    get { ledger.withLock { $0.events } }
    set { ledger.withLock { $0.events = newValue } }
  }

  /// What answers every request in the worker's place; nil: the worker itself does.
  package var front: ScriptedFront? {
    get { ledger.withLock { $0.front } }
    set { ledger.withLock { $0.front = newValue } }
  }

  /// Forgets a run, as a worker does that lost its state: it is 404 then, and a start would begin it again.
  package func forget(_ reviewID: UUID) { ledger.withLock { $0.runs[reviewID] = nil } }

  /// Forgets every run.
  package func forgetAll() { ledger.withLock { $0.runs = [:] } }

  /// Changes what is said of a run that is known.
  package func setState(of reviewID: UUID, to state: RunState) { ledger.withLock { $0.runs[reviewID]?.state = state } }

  /// Makes a run known without a start.
  package func know(_ reviewID: UUID, attempt: Int, state: RunState) {
    ledger.withLock { $0.runs[reviewID] = Run(attempt: attempt, state: state) }
  }

  // MARK: What it received

  /// Every start whose request was read, in order.
  package var starts: [ScriptedStart] { ledger.withLock { $0.starts } }

  /// Every start of one review.
  package func starts(of reviewID: UUID) -> [ScriptedStart] { starts.filter { $0.reviewID == reviewID } }

  /// How often a run of this attempt really began: more than once breaks the promise of one run.
  package func runCount(of reviewID: UUID, attempt: Int) -> Int {
    ledger.withLock { $0.runCounts[StartRequest.idempotencyKey(reviewID: reviewID, attempt: attempt)] ?? 0 }
  }

  /// How often a run began, by `<reviewId>/<attempt>`.
  package var runCounts: [String: Int] { ledger.withLock { $0.runCounts } }

  /// Every cancel, in order.
  package var cancels: [ScriptedCancel] { ledger.withLock { $0.cancels } }

  /// Every review that was asked after, in order.
  package var statusRequests: [UUID] { ledger.withLock { $0.statusRequests } }

  /// How many connections were accepted.
  package var connectionCount: Int { ledger.withLock { $0.connectionCount } }

  // MARK: What the connections ask

  func opened(_ channel: any Channel) -> Bool {
    ledger.withLock { ledger in
      ledger.connections[ObjectIdentifier(channel)] = channel
      ledger.connectionCount += 1
      return !ledger.takeCutBeforeReading()
    }
  }

  func closed(_ channel: any Channel) { ledger.withLock { $0.connections[ObjectIdentifier(channel)] = nil } }

  /// Whether the connection is to be closed at the head of a start.
  func cutsAtHead() -> Bool { ledger.withLock { $0.takeCutBeforeReading() } }

  func isAuthorized(_ headers: HTTPHeaders) -> Bool {
    token.map { headers.first(name: "authorization") == "Bearer \($0)" } ?? true
  }

  /// Takes the next step for a start, and notes it down.
  func step(for request: StartRequest, headers: HTTPHeaders) -> (ScriptedStep, StartResponse) {
    ledger.withLock { ledger in
      let step = ledger.takeStep(for: request.reviewId)
      let isKnown = ledger.runs[request.reviewId].map { $0.attempt >= request.attempt } ?? false
      let begins = step.starts && !isKnown
      if begins {
        ledger.runs[request.reviewId] = Run(attempt: request.attempt, state: .queued)
        ledger.runCounts[
          StartRequest.idempotencyKey(reviewID: request.reviewId, attempt: request.attempt), default: 0] += 1
      }
      ledger.starts.append(
        ScriptedStart(
          reviewID: request.reviewId, attempt: request.attempt, idempotencyKey: headers.first(name: "idempotency-key"),
          authorization: headers.first(name: "authorization"), traceparent: headers.first(name: "traceparent"),
          request: request, beganRun: begins))
      let state = ledger.runs[request.reviewId]?.state ?? .queued
      return (step, StartResponse(reviewId: request.reviewId, status: state, agentVersion: request.agentVersion))
    }
  }

  /// - Returns: nil for 404; `lacksRoute` for 405.
  func status(of reviewID: UUID) -> (lacksRoute: Bool, RunStatus?) {
    ledger.withLock { ledger in
      ledger.statusRequests.append(reviewID)
      let status = ledger.runs[reviewID].map { RunStatus(reviewId: reviewID, attempt: $0.attempt, status: $0.state) }
      return (ledger.lacksStatusRoute, status)
    }
  }

  func cancel(_ reviewID: UUID, _ request: CancelRequest) -> CancelResponse {
    ledger.withLock { ledger in
      ledger.cancels.append(ScriptedCancel(reviewID: reviewID, attempt: request.attempt, reason: request.reason))
      let isRunning =
        ledger.runs[reviewID].map { !$0.state.isTerminal && $0.attempt <= request.attempt ?? .max } ?? false
      if isRunning { ledger.runs[reviewID]?.state = .cancelled }
      return CancelResponse(success: isRunning, reviewId: reviewID)
    }
  }
}

extension ScriptedWorker.Ledger {
  mutating func takeCutBeforeReading() -> Bool {
    guard case .cutBeforeReading? = script.first else { return false }
    script.removeFirst()
    return true
  }

  mutating func takeStep(for reviewID: UUID) -> ScriptedStep {
    if let steps = scripts[reviewID], !steps.isEmpty {
      scripts[reviewID]?.removeFirst()
      return steps[0]
    }
    return script.isEmpty ? otherwise : script.removeFirst()
  }
}

/// What a ``ScriptedWorker`` says of a run's events.
package enum ScriptedEvents: Sendable {
  /// 404.
  case notKept
  /// 200.
  case known([RunEvent])
  /// No answer at all.
  case hangs
}

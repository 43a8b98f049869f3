internal import Logging
internal import PollExecutor

// Cancelling a task ends its wait at once. The statement itself is cancelled at the server only when no task waits for
// anything else in flight, as Postgres cancels "whatever runs now" and must not hit a neighbour. Until then nothing new is
// sent: it would have to wait behind the cancelled statement, and would keep it from being cancelled.
extension PostgresConnection {
  /// How far the cancelling of what is in flight is.
  enum CancellationProgress {
    /// No task was cancelled since nothing was in flight.
    case none
    /// A task was cancelled whose statement is in flight, along with those of others.
    case wanted
    /// The request to cancel is on its way.
    case underWay
    /// The request was delivered; it had no effect if the statement had not begun by then.
    case delivered

    /// Whether new statements may be sent.
    var allowsSending: Bool { if case .none = self { true } else { false } }

    /// Nothing is in flight any more. A request to cancel that is still on its way must not meet a new statement.
    mutating func endOfFlight() {
      if case .underWay = self { return }
      self = .none
    }
  }

  /// How long after a request to cancel the next one follows, if it had no effect.
  private static let cancelInterval = Duration.milliseconds(250)

  /// How long a request to cancel may take, which is a connection of its own. Nothing is sent in the meantime, so nothing else would find out
  /// that the server takes no connections, or that the network loses them.
  private static let cancelTimeMax = Duration.seconds(5)

  func noteCancellation() {
    if case .none = cancellation, !ledger.isEmpty || script != nil { cancellation = .wanted }
    cancelAbandoned()
  }

  /// Cancels at the server if no task waits for anything in flight any more.
  func cancelAbandoned() {
    guard case .wanted = cancellation else { return }
    let inFlight = script.map { [$0.request] } ?? []
    guard inFlight.allSatisfy(\.reply.isAnswered), ledger.requests.allSatisfy(\.reply.isAnswered),
      let cancel = handle?.makeCancel()
    else { return }
    cancellation = .underWay
    let request = PostgresCancelRequest(cancel)
    let deadline = executor.schedule(after: Self.cancelTimeMax) { [weak self] in
      self?.assumeIsolated {
        $0.lose(
          PostgresError(.connectionLost, "a request to cancel a statement took longer than \(Self.cancelTimeMax)"))
      }
    }
    // Unstructured: the cancelled task does not wait for it. PQcancel blocks, and so runs on another thread.
    Task {
      let problem = await blocking.send(request)
      executor.cancel(deadline)
      cancelSent(problem)
    }
  }

  private func cancelSent(_ problem: String?) {
    if let problem { logger.warning("cannot cancel a statement", metadata: ["reason": "\(problem.onOneLine)"]) }
    guard handle != nil else { return }
    if ledger.isEmpty && script == nil {
      cancellation = .none
    } else {
      cancellation = .delivered
      _ = executor.schedule(after: Self.cancelInterval) { [weak self] in
        self?.assumeIsolated { $0.cancelAgain() }
      }
    }
    pump()
  }

  private func cancelAgain() {
    guard case .delivered = cancellation else { return }
    cancellation = .wanted
    cancelAbandoned()
  }
}

/// A request to cancel on its way to the thread that sends it.
final class PostgresCancelRequest: Sendable {
  private let handle: CancelHandle

  init(_ handle: consuming CancelHandle) { self.handle = handle }

  func send() -> String? { handle.send() }
}

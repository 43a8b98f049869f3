internal import Synchronization

/// Where tasks of any thread leave requests for a connection's thread, which takes them all in one turn.
final class Inbox: Sendable {
  private struct State {
    var requests: [StatementRequest] = []
    var hasCancellation = false
    /// Whether the thread has been asked to look and has not looked yet.
    var isAnnounced = false
    var refusal: PostgresError?
  }

  private let state = Mutex(State())

  /// Leaves a request; true if the thread has to be woken. A refused request is answered at once.
  func add(_ request: StatementRequest) -> Bool {
    let (mustAnnounce, refusal) = state.withLock { state -> (Bool, PostgresError?) in
      if let refusal = state.refusal { return (false, refusal) }
      state.requests.append(request)
      defer { state.isAnnounced = true }
      return (!state.isAnnounced, nil)
    }
    if let refusal { request.reply.complete(.failure(refusal)) }
    return mustAnnounce
  }

  /// Notes that a request was cancelled; true if the thread has to be woken.
  func addCancellation() -> Bool {
    state.withLock { state in
      state.hasCancellation = true
      defer { state.isAnnounced = true }
      return !state.isAnnounced
    }
  }

  /// Takes everything out.
  func take() -> (requests: [StatementRequest], hasCancellation: Bool) {
    state.withLock { state in
      defer { (state.requests, state.hasCancellation, state.isAnnounced) = ([], false, false) }
      return (state.requests, state.hasCancellation)
    }
  }

  /// Refuses all later requests with an error; the first one counts.
  func close(_ error: PostgresError) {
    state.withLock { $0.refusal = $0.refusal ?? error }
  }

  /// Why requests are refused, if they are.
  var refusal: PostgresError? { state.withLock(\.refusal) }
}

/// Opens once; any number of tasks wait for it.
final class Latch: Sendable {
  private struct State {
    var isOpen = false
    var waiters: [PostgresReply<Void>] = []
  }

  private let state = Mutex(State())

  var isOpen: Bool { state.withLock(\.isOpen) }

  func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.complete(.success(())) }
  }

  /// Waits until it is open, or until the task is cancelled.
  func wait() async {
    guard let waiter = addWaiter() else { return }
    _ = try? await waiter.value { self.remove(waiter) }
  }

  /// Waits until it is open, whatever the state of the task.
  func waitShielded() async {
    guard let waiter = addWaiter() else { return }
    _ = await waiter.outcome()
  }

  private func addWaiter() -> PostgresReply<Void>? {
    state.withLock { state in
      if state.isOpen { return nil }
      let waiter = PostgresReply<Void>()
      state.waiters.append(waiter)
      return waiter
    }
  }

  private func remove(_ waiter: PostgresReply<Void>) {
    state.withLock { $0.waiters.removeAll { $0 === waiter } }
  }
}

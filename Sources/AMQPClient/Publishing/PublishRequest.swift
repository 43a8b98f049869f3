internal import Synchronization

/// A publish on its way, and the caller that waits for its outcome. A class, since it moves from queue to ledger and is large.
final class PublishRequest: Sendable {
  let publication: AMQPPublication
  /// Of the connection that its properties are known to fit.
  let frameByteMax: Int
  let deadline: ContinuousClock.Instant
  let sink: PublishSink

  init(
    publication: AMQPPublication, frameByteMax: Int, deadline: ContinuousClock.Instant, sink: PublishSink
  ) {
    self.publication = publication
    self.frameByteMax = frameByteMax
    self.deadline = deadline
    self.sink = sink
  }

  var byteCount: Int { publication.message.body.count }

  /// Gives the outcome to the waiting caller. Once: a request is taken out of its queue or ledger before.
  func resume(_ outcome: AMQPPublishOutcome) { sink.resume(outcome) }
}

/// Where an outcome goes.
enum PublishSink: Sendable {
  case single(CheckedContinuation<AMQPPublishOutcome, Never>)
  case batch(PublishBatch, index: Int)

  func resume(_ outcome: AMQPPublishOutcome) {
    switch self {
    case .single(let continuation): continuation.resume(returning: outcome)
    case .batch(let batch, let index): batch.set(outcome, at: index)
    }
  }
}

/// Collects the outcomes of a batch and resumes its caller with the last of them.
final class PublishBatch: Sendable {
  private struct State {
    var outcomes: [AMQPPublishOutcome]
    var missing: Int
  }

  private let state: Mutex<State>
  private let continuation: CheckedContinuation<[AMQPPublishOutcome], Never>

  /// - Parameter count: at least 1.
  init(count: Int, continuation: CheckedContinuation<[AMQPPublishOutcome], Never>) {
    state = Mutex(State(outcomes: Array(repeating: .notSent(""), count: count), missing: count))
    self.continuation = continuation
  }

  func set(_ outcome: AMQPPublishOutcome, at index: Int) {
    let complete = state.withLock { state -> [AMQPPublishOutcome]? in
      state.outcomes[index] = outcome
      state.missing -= 1
      return state.missing == 0 ? state.outcomes : nil
    }
    if let complete { continuation.resume(returning: complete) }
  }
}

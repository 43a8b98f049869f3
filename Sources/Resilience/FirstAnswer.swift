internal import Synchronization

/// The body's value, or another one if it has none in time. The body runs on then, without being cancelled: unlike ``within(_:clock:_:)`` this
/// does not wait for one that hangs, whatever it does with a cancellation.
package func firstAnswer<Value: Sendable>(
  within timeout: Duration, otherwise late: Value, _ body: @escaping @Sendable () async -> Value
) async -> Value {
  let answer = FirstAnswer<Value>()
  let timer = Task.onSameExecutor {
    try? await Task.sleep(for: timeout)
    answer.give(late)
  }
  defer { timer.cancel() }
  return await withCheckedContinuation { continuation in
    answer.wait(continuation)
    Task.onSameExecutor { answer.give(await body()) }
  }
}

/// Resumes one continuation with the first answer that comes, before or after the continuation itself.
private final class FirstAnswer<Value: Sendable>: Sendable {
  private enum State {
    case empty
    case waiting(CheckedContinuation<Value, Never>)
    case early(Value)
    case done
  }

  private let state = Mutex(State.empty)

  func wait(_ continuation: CheckedContinuation<Value, Never>) {
    let early: Value? = state.withLock { state in
      if case .early(let answer) = state {
        state = .done
        return .some(answer)
      }
      state = .waiting(continuation)
      return nil
    }
    if let early { continuation.resume(returning: early) }
  }

  func give(_ answer: Value) {
    let continuation: CheckedContinuation<Value, Never>? = state.withLock { state in
      switch state {
      case .empty: state = .early(answer)
      case .waiting(let continuation):
        state = .done
        return continuation
      case .early, .done: break
      }
      return nil
    }
    continuation?.resume(returning: answer)
  }
}

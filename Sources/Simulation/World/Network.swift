internal import Synchronization

/// The faults that last, as they are felt now; and how long things take.
final class Network: Sendable {
  private struct State {
    var faults: [InjectedFault] = []
    /// At which place a process runs.
    var places: [Scheduler.ProcessID: InjectedFault.Place] = [:]
    var generator: SeededGenerator
  }

  private let state: Mutex<State>
  /// Whether any fault is felt: every message asks, and mostly none is.
  private let isDisturbed = Atomic(false)
  private let scheduler = Scheduler.shared

  init(seed: UInt64) { state = Mutex(State(generator: SeededGenerator(seed: seed, stream: 3))) }

  func begin(_ fault: InjectedFault) {
    state.withLock { $0.faults.append(fault) }
    isDisturbed.store(true, ordering: .relaxed)
  }

  func end(_ fault: InjectedFault) {
    state.withLock { state in
      guard let index = state.faults.firstIndex(of: fault) else { return }
      state.faults.remove(at: index)
      isDisturbed.store(!state.faults.isEmpty, ordering: .relaxed)
    }
  }

  func put(_ process: Scheduler.ProcessID, at place: InjectedFault.Place) {
    state.withLock { $0.places[process] = place }
  }

  func has(_ kind: InjectedFault.Kind) -> Bool {
    isDisturbed.load(ordering: .relaxed) && state.withLock { $0.faults.contains { $0.kind == kind } }
  }

  /// Whether what a process sends, or what it should receive, does not arrive.
  func isCut(_ process: Scheduler.ProcessID, _ link: InjectedFault.Link, _ direction: InjectedFault.Direction) -> Bool {
    guard isDisturbed.load(ordering: .relaxed) else { return false }
    return state.withLock { state in
      guard let place = state.places[process] else { return false }
      return state.faults.contains { fault in
        fault.kind == .cut(place, link, direction) || fault.kind == .cut(place, link, .both)
      }
    }
  }

  /// Whether a process and what it talks to are cut off from each other in any direction.
  func isCut(_ process: Scheduler.ProcessID, _ link: InjectedFault.Link) -> Bool {
    isCut(process, link, .requests) || isCut(process, link, .answers)
  }

  // MARK: Chance and time

  func chance(_ probability: Double) -> Bool {
    probability > 0 && state.withLock { $0.generator.chance(probability) }
  }

  func duration(_ range: ClosedRange<Duration>) -> Duration { state.withLock { $0.generator.duration(range) } }

  /// What a message takes on its way.
  func delay(_ range: ClosedRange<Duration> = .microseconds(100) ... .milliseconds(2)) async {
    await scheduler.delay(duration(range))
  }

  /// Waits while something is so, for a limited time.
  /// - Returns: whether it has ended.
  func wait(atMost timeMax: Duration, while isSo: () -> Bool) async -> Bool {
    let step = Duration.milliseconds(250)
    for _ in 0..<Int(timeMax / step) {
      guard isSo() else { return true }
      guard (try? await scheduler.sleep(for: step)) != nil else { return false }
    }
    return !isSo()
  }
}

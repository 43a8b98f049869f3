internal import Synchronization

/// Keeps what has happened, in order.
final class Recorder: Sendable {
  private struct State {
    var entries: [HistoryEntry] = []
    var names: [Int: String] = [:]
  }

  private let state = Mutex(State())
  private let scheduler: Scheduler

  init(_ scheduler: Scheduler) { self.scheduler = scheduler }

  func name(_ process: Int, _ name: String) { state.withLock { $0.names[process] = name } }

  /// Notes an event of the process whose job runs now.
  func note(_ event: HistoryEvent) { note(event, of: scheduler.current) }

  func note(_ event: HistoryEvent, of process: Int) {
    let time = scheduler.elapsed
    state.withLock { state in
      state.entries.append(HistoryEntry(time: time, process: process, name: state.names[process] ?? "", event: event))
    }
  }

  var entries: [HistoryEntry] { state.withLock { $0.entries } }
}

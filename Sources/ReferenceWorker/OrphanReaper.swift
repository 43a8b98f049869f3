internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// Takes the exit statuses of processes that an agent left behind.
///
/// When an agent's child outlives it, the kernel makes that child one of process 1. In a container without an init, that is the worker:
/// unless it waits for them, each stays a zombie. Agents themselves are waited for by the code that starts them, so their statuses must not
/// be taken: every start is registered here before it happens.
final class OrphanReaper: Sendable {
  /// An agent, from before it is started until it was waited for.
  struct Start: Sendable {
    fileprivate let reaper: OrphanReaper
    fileprivate let number: UInt64

    /// It runs.
    func began(_ process: pid_t) { reaper.state.withLock { $0.starts[number] = .some(process) } }

    /// It was waited for, or was not started.
    func ended() { reaper.state.withLock { $0.starts[number] = nil } }
  }

  private struct State {
    /// The agents by the number of their start; nil until the process is known.
    var starts: [UInt64: pid_t?] = [:]
    var nextNumber: UInt64 = 0
  }

  /// Of this process, as children are the process's.
  static let shared = OrphanReaper()

  private static let interval: Duration = .seconds(1)

  private let state = Mutex(State())

  /// Registers an agent that is about to be started.
  func begin() -> Start {
    state.withLock { state in
      defer { state.nextNumber += 1 }
      state.starts[state.nextNumber] = .some(nil)
      return Start(reaper: self, number: state.nextNumber)
    }
  }

  /// Looks for orphans until cancelled; returns at once if none can come to this process.
  func run() async {
    guard getpid() == 1 else { return }
    while (try? await Task.sleep(for: Self.interval)) != nil { reap() }
  }

  /// Waits for all zombies that are not agents. While an agent is being started, it may be any of them: then the next look decides.
  func reap() {
    let before = state.withLock { $0.nextNumber }
    let zombies = Self.zombies(of: getpid())
    guard !zombies.isEmpty else { return }
    state.withLock { state in
      let agents = state.starts.values.compactMap { $0 }
      guard state.nextNumber == before, agents.count == state.starts.count else { return }
      for zombie in zombies where !agents.contains(zombie) {
        var status: Int32 = 0
        _ = waitpid(zombie, &status, WNOHANG)
      }
    }
  }

  private static func zombies(of parent: pid_t) -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { id in
      ProcessStat.read(id).map { $0.parent == parent && $0.state == "Z" } ?? false
    }
  }
}

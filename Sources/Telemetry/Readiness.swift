internal import Resilience
internal import Synchronization

/// The checks behind `/readyz`: each says what is missing, or nothing.
///
/// Checks run side by side and only on request; callers that come while a check runs share its answer, so that probes
/// never pile up on something that hangs. A check that does not answer in time counts as missing.
package final class Readiness: Sendable {
  /// What the checks said.
  package struct Report: Sendable, Equatable {
    /// What is missing, by the check's name; nil if the check is fine.
    package let checks: [String: String?]

    /// The checks that only inform: what they miss is outside of this process, which is ready without it.
    package let informing: Set<String>

    /// Whether nothing is missing that this process needs.
    package var isReady: Bool { checks.allSatisfy { $0.value == nil || informing.contains($0.key) } }

    package init(checks: [String: String?], informing: Set<String> = []) {
      self.checks = checks
      self.informing = informing
    }
  }

  private typealias Check = @Sendable () async -> String?

  private struct State {
    var checks: [String: Check] = [:]
    var informing: Set<String> = []
    var runs: [String: Task<String?, Never>] = [:]
  }

  private let state = Mutex(State())
  private let timeout: Duration

  /// - Parameter timeout: how long a caller waits for one check; below the patience of the usual probes.
  package init(timeout: Duration = .seconds(2)) { self.timeout = timeout }

  /// Adds a check, or replaces the one of that name.
  /// - Parameters:
  ///   - name: as the page shows it.
  ///   - isRequired: false for what this process can be ready without, and an operator wants to know.
  ///   - check: nil if all is fine, else what is missing, as one sentence without secrets: the page is public.
  package func register(_ name: String, isRequired: Bool = true, check: @escaping @Sendable () async -> String?) {
    state.withLock { state in
      state.checks[name] = check
      if !isRequired { state.informing.insert(name) }
    }
  }

  /// Asks all checks. Without any, everything is ready.
  package func report() async -> Report {
    let (names, informing) = state.withLock { (Array($0.checks.keys), $0.informing) }
    let answers = await withTaskGroup(of: (String, String?).self) { group in
      for name in names { group.addTask { (name, await self.answer(of: name)) } }
      return await group.reduce(into: [String: String?]()) { $0.updateValue($1.1, forKey: $1.0) }
    }
    return Report(checks: answers, informing: informing)
  }

  /// The answer of a check, or that there is none in time. The check itself runs on: cancelling it would not stop one that
  /// hangs, and would spoil it for the others who wait.
  private func answer(of name: String) async -> String? {
    let run = run(of: name)
    let timeout = timeout
    return await firstAnswer(within: timeout, otherwise: "no answer within \(timeout)") { await run.value }
  }

  /// The run under way, or a new one.
  private func run(of name: String) -> Task<String?, Never> {
    state.withLock { state in
      if let run = state.runs[name] { return run }
      let check = state.checks[name]
      let run = Task {
        let answer = await check?()
        self.state.withLock { $0.runs[name] = nil }
        return answer
      }
      state.runs[name] = run
      return run
    }
  }
}

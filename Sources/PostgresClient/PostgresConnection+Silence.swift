internal import PollExecutor

// A session that owes answers and is silent: a stopped server process, or a commit that waits for a standby that is gone. The socket lives,
// so that nothing else would end the wait.
extension PostgresConnection {
  /// From now on answers are owed.
  func expectAnswers() {
    guard let timeout = configuration.answerTimeout else { return }
    answerWatch.heardAt = .now
    if answerWatch.timer == nil { look(after: timeout, timeout) }
  }

  private func look(after delay: Duration, _ timeout: Duration) {
    answerWatch.timer = executor.schedule(after: delay) { [weak self] in
      self?.assumeIsolated { $0.lookForAnswers(timeout) }
    }
  }

  private func lookForAnswers(_ timeout: Duration) {
    answerWatch.timer = nil
    // A script may take as long as it does.
    guard handle != nil, !ledger.isEmpty, script == nil else { return }
    let left = timeout - (ContinuousClock.now - answerWatch.heardAt)
    guard left <= .zero else { return look(after: left, timeout) }
    let cancel = handle?.makeCancel()
    lose(PostgresError(.connectionLost, "no answer for \(timeout)"))
    // Otherwise the server's process might wait on, and each further session of this pool would leave one more. Unstructured, and on a thread of
    // its own: nobody waits for it, and a server that is stopped keeps it until it goes on.
    if let cancel {
      let request = PostgresCancelRequest(cancel)
      Task { _ = await BlockingCalls().send(request) }
    }
  }
}

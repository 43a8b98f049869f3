internal import Glibc
internal import Resilience
internal import Subprocess
internal import SystemPackage

/// One agent: a shell command in a session of its own, so that its whole process group can be ended.
///
/// When the shell has ended, whatever it left behind in its group is killed. Known weakness: a process that makes a session
/// of its own escapes.
struct AgentProcess: Sendable {
  let command: String
  let environment: [String: String]
  /// Written to standard input, which is then closed.
  let input: [UInt8]
  /// From TERM to KILL.
  let killGrace: Duration
  let redact: Redactor

  /// How much of the end of standard error is kept, in bytes.
  private static let lastWordsByteCount = 1_024

  /// Runs the command to its end.
  /// - Parameters:
  ///   - stop: wakes to end the process group: TERM, and KILL after the grace. Cancelling the task does the same.
  ///   - onLine: called for every line of standard output, in order; the agent waits while it works.
  func run(stop: Wakeup, onLine: @escaping @Sendable (String) async -> Void) async -> AgentExit {
    var options = PlatformOptions()
    options.createSession = true
    options.teardownSequence = [
      .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: killGrace)
    ]
    let variables = Dictionary(
      environment.compactMap { name, value in Environment.Key(rawValue: name).map { ($0, value) } },
      uniquingKeysWith: { first, _ in first })
    do {
      let result = try await Subprocess.run(
        .path("/bin/sh"), arguments: ["-c", command], environment: .custom(variables), platformOptions: options,
        input: .inputWriter, output: .sequence, error: .sequence
      ) { execution in
        await supervise(execution, stop: stop, onLine: onLine)
      }
      switch result.terminationStatus {
      case .exited(let status): return .exited(status: status, lastWords: result.closureResult)
      case .signaled(let signal): return .killed(signal: signal, lastWords: result.closureResult)
      }
    } catch {
      return .notStarted(redact("\(error)"))
    }
  }

  /// Feeds and reads the process until it has exited; it is not reaped yet when this returns, so that its process group
  /// still has its number.
  /// - Returns: the last words of standard error.
  private func supervise(
    _ execution: Execution<CustomWriteInput, SequenceOutput, SequenceOutput>, stop: Wakeup,
    onLine: @escaping @Sendable (String) async -> Void
  ) async -> String {
    let leader = execution.processIdentifier.value
    return await withTaskGroup(of: Void.self) { group in
      group.addTask {
        // The agent need not read its input: a broken pipe is no failure.
        _ = try? await execution.standardInputWriter.write(input)
        try? await execution.standardInputWriter.finish()
      }
      group.addTask {
        guard (try? await stop.wait(until: nil)) != nil else { return }
        try? execution.send(signal: .terminate, toProcessGroup: true)
        guard (try? await Task.sleep(for: killGrace)) != nil else { return }
        try? execution.send(signal: .kill, toProcessGroup: true)
      }
      async let lastWords = lastWords(of: execution.standardError)
      await readLines(of: execution.standardOutput, onLine: onLine)
      let words = await lastWords
      await waitForExit(of: leader)
      try? execution.send(signal: .kill, toProcessGroup: true)
      group.cancelAll()
      return words
    }
  }

  private func readLines(of output: SubprocessOutputSequence, onLine: (String) async -> Void) async {
    var splitter = LineSplitter()
    do {
      for try await buffer in output {
        for line in buffer.withUnsafeBytes({ splitter.append($0) }) { await onLine(redact(line)) }
      }
    } catch {
      // The shell has ended while something it left behind holds the pipe: what was in it has been read.
    }
    if let line = splitter.finish() { await onLine(redact(line)) }
  }

  private func lastWords(of output: SubprocessOutputSequence) async -> String {
    var tail: [UInt8] = []
    do {
      for try await buffer in output {
        buffer.withUnsafeBytes { tail.append(contentsOf: $0) }
        // Twice as much, so that a token across the cut is still whole when it is looked for.
        if tail.count > 4 * Self.lastWordsByteCount { tail.removeFirst(tail.count - 2 * Self.lastWordsByteCount) }
      }
    } catch {
      // As for standard output.
    }
    let text = redact(String(decoding: tail, as: UTF8.self))
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    return String(lines.joined(separator: " | ").suffix(Self.lastWordsByteCount))
  }

  /// Returns when the process is a zombie. Its pipes are at their end by now, so it has exited already or will do so at once,
  /// unless it closed them itself.
  private func waitForExit(of pid: pid_t) async {
    var pause = Duration.milliseconds(1)
    while !hasExited(pid), (try? await Task.sleep(for: pause)) != nil { pause = min(pause * 2, .milliseconds(200)) }
  }

  private func hasExited(_ pid: pid_t) -> Bool {
    var info = siginfo_t()
    let result = waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT)
    // An error means that there is no such child any more.
    return result != 0 || info.si_signo == SIGCHLD
  }
}

internal import CLinux
internal import Glibc
internal import Resilience
internal import Subprocess
internal import SystemPackage

/// One agent: a shell command in a session of its own, so that its whole process group can be ended, and which outlives the worker.
///
/// Known weakness: without an isolation, a process that makes a session of its own escapes.
struct AgentProcess: Sendable {
  /// The words of the command, see ``AgentLaunch``.
  let words: [String]
  let environment: [String: String]
  /// All of its standard input.
  let input: [UInt8]
  let folder: AgentFolder
  /// The run's own; nil for the worker's.
  let user: UInt32?

  /// Starts the command, and follows it to its end; cancelled, leaves it alone, see ``AgentWatch``.
  func run(_ watch: AgentWatch, stop: Wakeup) async -> AgentExit {
    guard !Task.isCancelled else { return .neverBegan }
    let followed = Wakeup()
    let (begun, hasBegun) = AsyncStream.makeStream(of: ProcessIdentity?.self)
    // No child task: to cancel what waits for a process would end the process.
    let end = Task {
      defer { hasBegun.finish() }
      return try await spawn { process in
        hasBegun.yield(process)
        _ = try? await followed.wait(until: nil)
      }
    }
    // Awaited also if this task is cancelled: once it has returned, nothing begins in addition to what the next worker begins.
    if let process = await Task(operation: { await begun.first { _ in true } }).value {
      let exit = await watch.follow(process, from: 0, stop: stop)
      followed.wake()
      if let exit { return exit }
      guard !Task.isCancelled else { return .lost }
    }
    do {
      return watch.exit(try await end.value)
    } catch {
      return .notStarted(watch.redact("\(error)"))
    }
  }

  /// Starts the command.
  /// - Parameter body: is given who it is, nil if that cannot be seen; until it returns, the number is that process's own, as it
  ///   is not reaped before.
  /// - Returns: how it has ended.
  private func spawn(_ body: @Sendable (ProcessIdentity?) async -> Void) async throws -> TerminationStatus {
    try folder.create(for: user)
    var options = PlatformOptions()
    options.createSession = true
    let input = try inputFile()
    defer { try? input.close() }
    let output = try folder.openForAgent(folder.outputPath, user: user)
    defer { try? output.close() }
    let error = try folder.openForAgent(folder.errorPath, user: user)
    defer { try? error.close() }
    let start = OrphanReaper.shared.begin()
    defer { start.ended() }
    return try await Subprocess.run(
      .path("/bin/sh"), arguments: Arguments(["-c", AgentFolder.script, "baton-agent", folder.path] + words),
      environment: .custom(variables), platformOptions: options,
      input: .fileDescriptor(input, closeAfterSpawningProcess: false),
      output: .fileDescriptor(output, closeAfterSpawningProcess: false),
      error: .fileDescriptor(error, closeAfterSpawningProcess: false)
    ) { execution in
      start.began(execution.processIdentifier.value)
      await body(ProcessIdentity(execution.processIdentifier.value))
    }.terminationStatus
  }

  private var variables: [Environment.Key: String] {
    Dictionary(
      environment.compactMap { name, value in Environment.Key(rawValue: name).map { ($0, value) } },
      uniquingKeysWith: { first, _ in first })
  }

  /// A file in memory with the whole input: it holds tokens, which must not reach a disk, and the agent can read it to its end also
  /// when the worker is gone.
  private func inputFile() throws -> FileDescriptor {
    let number = memfd_create("baton-agent-input", 1)
    guard number >= 0 else { throw Errno(rawValue: errno) }
    let file = FileDescriptor(rawValue: number)
    do {
      try file.writeAll(input)
      try file.seek(offset: 0, from: .start)
      return file
    } catch {
      try? file.close()
      throw error
    }
  }
}

extension AgentWatch {
  /// How an agent has ended that wrote no exit status.
  fileprivate func exit(_ status: TerminationStatus) -> AgentExit {
    switch status {
    case .exited(let status): .exited(status: status, lastWords: lastWords())
    case .signaled(let signal): .killed(signal: signal, lastWords: lastWords())
    }
  }
}

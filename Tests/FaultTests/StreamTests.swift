import Foundation
import Support
import Testing

/// The program with standard streams that cannot be written, through a shell that prepares them.
@Suite("Standard streams that fail", .timeLimit(.minutes(5)))
struct StreamTests {
  /// Starts `exec baton ARGUMENTS REDIRECTION` in a shell; `$BATON` is the executable.
  private func shell(_ script: String, _ settings: [String: String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script]
    let inherited = ProcessInfo.processInfo.environment.filter { ["PATH", "HOME", "LD_LIBRARY_PATH"].contains($0.key) }
    process.environment = inherited.merging(settings) { $1 }
      .merging(["BATON": try postgresTestVariable("BATON_TEST_EXECUTABLE")]) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    return process
  }

  /// Runs the script to its end.
  private func run(_ script: String, _ settings: [String: String]) async throws -> (status: Int32, error: String) {
    let process = try shell(script, settings)
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).log").path
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    defer { try? FileManager.default.removeItem(atPath: path) }
    process.standardError = FileHandle(forWritingAtPath: path)
    let (ended, continuation) = AsyncStream.makeStream(of: Int32.self)
    process.terminationHandler = { continuation.yield($0.terminationStatus) }
    try process.run()
    let status = await ended.first { _ in true } ?? -1
    return (status, (try? String(contentsOfFile: path, encoding: .utf8)) ?? "")
  }

  /// Starts a producer whose standard error is what the body makes of it, waits until it claims, and drains it by a signal.
  private func produce(
    redirected redirection: String, error: Any? = nil, signal ending: Int32 = SIGTERM,
    afterStart: () -> Void = {}
  ) async throws {
    try await withTestCluster(settings: ["BATON_LOG_LEVEL": "debug"]) { cluster in
      let process = try shell("exec \"$BATON\" produce \(redirection)", cluster.settings)
      if let error { process.standardError = error }
      let (ended, continuation) = AsyncStream.makeStream(of: (Process.TerminationReason, Int32).self)
      process.terminationHandler = { continuation.yield(($0.terminationReason, $0.terminationStatus)) }
      try process.run()
      afterStart()
      for round in 1...3 {
        _ = try await cluster.test.insert(5, owner: "owner-\(round)")
        try await eventually("round \(round) is published") {
          try await cluster.test.sql("SELECT FROM code_reviews WHERE published_at IS NULL").isEmpty
        }
      }
      kill(process.processIdentifier, ending)
      let end = try #require(await ended.first { _ in true })
      #expect(end == (.exit, 0))
    }
  }

  @Test("a role goes on when the reader of its log has gone")
  func closedReader() async throws {
    let pipe = Pipe()
    try await produce(redirected: "", error: pipe) { try? pipe.fileHandleForReading.close() }
  }

  @Test("a role goes on when the reader of its log is asleep, and drains on SIGTERM")
  func sleepingReader() async throws {
    let pipe = Pipe()
    // F_SETPIPE_SZ, which Glibc's module does not have: a pipe of one page is full after a few lines.
    try #require(fcntl(pipe.fileHandleForWriting.fileDescriptor, 1_031, 4_096) == 4_096)
    try await produce(redirected: "", error: pipe)
    withExtendedLifetime(pipe) {}
  }

  @Test("a role goes on when the disk of its log is full")
  func fullDisk() async throws { try await produce(redirected: "2>/dev/full") }

  @Test("a role goes on without standard streams, and writes no log line to a socket that got their numbers")
  func closedStreams() async throws { try await produce(redirected: "<&- >&- 2>&-") }

  @Test("SIGHUP drains a role like SIGTERM, unless it was started so that hang-ups do not concern it")
  func hangUp() async throws {
    try await produce(redirected: "2>/dev/null", signal: SIGHUP)
    try await withTestCluster { cluster in
      let process = try shell("trap '' HUP; exec \"$BATON\" produce 2>/dev/null", cluster.settings)
      try process.run()
      _ = try await cluster.test.insert(1)
      try await eventually("published") {
        try await cluster.test.sql("SELECT FROM code_reviews WHERE published_at IS NULL").isEmpty
      }
      kill(process.processIdentifier, SIGHUP)
      _ = try await cluster.test.insert(1, owner: "later")
      try await eventually("published after the hang-up") {
        try await cluster.test.sql("SELECT FROM code_reviews WHERE published_at IS NULL").isEmpty
      }
      kill(process.processIdentifier, SIGKILL)
    }
  }

  @Test("results that cannot be written are an error that is named", arguments: [">/dev/full", ">&-"])
  func results(redirection: String) async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(1)
      for command in ["list", "list --json", "queue"] {
        let (status, error) = try await run("exec \"$BATON\" \(command) \(redirection)", cluster.settings)
        #expect(status == 1)
        #expect(error.contains("cannot write the results: "), "\(error)")
      }
    }
  }

  @Test("a reader of the results that has read enough ends the command quietly, as SIGPIPE would")
  func enough() async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(1_000)
      let (status, error) = try await run(
        "( \"$BATON\" list --json --limit 1000; echo $? >&2 ) | head -c 10 >/dev/null", cluster.settings)
      #expect(status == 0)
      #expect(error == "141\n")
    }
  }
}

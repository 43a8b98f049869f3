internal import Foundation

/// A `baton` process under test: the executable of BATON_TEST_EXECUTABLE with settings of its own.
package final class BatonProcess: Sendable {
  package let processID: Int32
  private let exit: Task<Int32, Never>
  private let log: String

  /// Starts the process.
  /// - Parameters:
  ///   - arguments: the subcommand first.
  ///   - settings: BATON_* variables; nothing else of the tests' environment is passed on but the path.
  ///   - wrapper: a command, found by the path, that is given the executable and its arguments.
  ///   - openFileMax: the limit of open files, soft and hard; nil leaves that of the tests.
  package init(
    _ arguments: [String], settings: [String: String], through wrapper: [String] = [], openFileMax: Int? = nil
  ) throws {
    let wrapper = openFileMax.map { ["sh", "-c", "ulimit -n \($0) && exec \"$0\" \"$@\""] + wrapper } ?? wrapper
    let process = Process()
    let command = wrapper + [try postgresTestVariable("BATON_TEST_EXECUTABLE")] + arguments
    process.executableURL = URL(fileURLWithPath: wrapper.isEmpty ? command[0] : "/usr/bin/env")
    process.arguments = wrapper.isEmpty ? arguments : command
    let inherited = ProcessInfo.processInfo.environment.filter { ["PATH", "HOME", "LD_LIBRARY_PATH"].contains($0.key) }
    process.environment = inherited.merging(settings) { $1 }
    let folder = FileManager.default.temporaryDirectory
    log = folder.appendingPathComponent("baton-test-\(UUID().uuidString).log").path
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let output = FileHandle(forWritingAtPath: log)
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    let (ended, continuation) = AsyncStream.makeStream(of: Int32.self)
    process.terminationHandler = { process in
      continuation.yield(process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
      continuation.finish()
    }
    try process.run()
    processID = process.processIdentifier
    exit = Task { await ended.first { _ in true } ?? -1 }
  }

  /// Sends a signal.
  package func signal(_ signal: Int32) { kill(processID, signal) }

  /// Waits until the process has ended.
  /// - Returns: its exit status; a signal's number, negated, if one ended it.
  package func wait() async -> Int32 { await exit.value }

  /// Ends the process at once, as the machine's death would.
  package func die() async {
    signal(SIGKILL)
    _ = await wait()
  }

  /// What the process has printed so far.
  package var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

  deinit {
    kill(processID, SIGKILL)
    try? FileManager.default.removeItem(atPath: log)
  }
}

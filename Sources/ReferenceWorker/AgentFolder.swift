internal import FoundationEssentials
internal import Glibc
internal import Reviews
internal import SystemPackage

/// The files of one agent, by which a worker can follow it that did not start it: the agent writes to files, so that it goes on,
/// and nothing of what it says is lost, when the worker dies.
///
/// - `out`, `err`: its standard output and error. They are deleted with the folder when the run ends.
/// - `process`: who it is. Made by the agent's shell before the command begins, or by a worker that wants to know that it never
///   will; only one of them can make it, so that there is no moment at which an agent runs and nobody knows.
/// - `exit`: the exit status of the command, as a line. Without it, and without the process, the agent has been killed.
struct AgentFolder: Sendable {
  let path: String

  /// - Parameters:
  ///   - base: the folder of all agents.
  ///   - launch: tells the agents apart that were begun for one run.
  init(base: String, key: RunKey, launch: Int) {
    path = "\(base)/\(key.reviewID.lowercase)-\(key.attempt)-\(launch)"
  }

  var outputPath: String { path + "/out" }
  var errorPath: String { path + "/err" }
  private var processPath: String { path + "/process" }
  private var exitPath: String { path + "/exit" }

  /// Run by `/bin/sh`, with the folder and the command as arguments. Builtins only, so that nothing else has to be installed. The
  /// trap keeps the shell alive while the command handles a TERM; the command itself has the default again.
  static let script = """
    set -C
    { read -r stat </proc/$$/stat && read -r boot </proc/sys/kernel/random/boot_id &&
      printf '%s\\n%s\\n' "$stat" "$boot" >"$1/process"; } || exit 125
    set +C
    trap : TERM INT HUP
    /bin/sh -c "$2"
    status=$?
    printf '%s\\n' "$status" >"$1/exit"
    exit "$status"
    """

  /// Makes the folder, for the worker's user alone.
  /// - Throws: `Errno`.
  func create() throws {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
  }

  /// Deletes the folder and all that is in it.
  func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// Opens a file of the agent's output for it to append to.
  func openForAgent(_ path: String) throws -> FileDescriptor {
    try FileDescriptor.open(
      FilePath(path), .writeOnly, options: [.create, .append, .closeOnExec], permissions: [.ownerRead, .ownerWrite])
  }

  /// What a worker finds that did not start the agent.
  enum Finding: Sendable, Equatable {
    case process(ProcessIdentity)
    /// It has not begun, and never will.
    case neverBegan
    /// The machine has lost what was written.
    case nothing
  }

  /// Finds out who the agent is, or makes sure that it does not begin.
  func find() async -> Finding {
    // Its shell cannot begin without the folder.
    guard FileManager.default.fileExists(atPath: path) else { return .neverBegan }
    let descriptor = open(processPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor >= 0 {
      close(descriptor)
      return .neverBegan
    }
    // Between its making and its filling the file is empty: no longer than the shell takes for one write.
    for _ in 0..<100 {
      if let process = process() { return .process(process) }
      try? await Task.sleep(for: .milliseconds(10))
    }
    return .nothing
  }

  private func process() -> ProcessIdentity? {
    guard let data = FileManager.default.contents(atPath: processPath) else { return nil }
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    // The last line is complete when something follows its end, be it nothing.
    guard lines.count == 3 else { return nil }
    return ProcessIdentity(stat: String(lines[0]), bootID: String(lines[1]))
  }

  /// The command's exit status, 128 and the signal where a signal ended it; nil where it has not been written.
  func exitStatus() -> Int32? {
    guard let data = FileManager.default.contents(atPath: exitPath), data.last == UInt8(ascii: "\n") else { return nil }
    return Int32(String(decoding: data.dropLast(), as: UTF8.self))
  }
}

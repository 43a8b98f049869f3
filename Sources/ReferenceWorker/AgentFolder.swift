internal import FoundationEssentials
internal import Glibc
internal import Primitives
internal import Reviews
internal import SystemPackage

/// The files of one agent, by which a worker can follow it that did not start it: the agent writes to files, so that it goes on,
/// and nothing of what it says is lost, when the worker dies.
///
/// - `out`, `err`: its standard output and error. They are deleted with the folder when the run ends.
/// - `process`: who it is. Made by the agent's shell before the command begins, or by a worker that wants to know that it never
///   will; only one of them can make it, so that there is no moment at which an agent runs unrecorded.
/// - `exit`: the exit status of the command, as a line. Without it, and without the process, the agent has been killed.
/// - `tmp`: its temporary folder, with an isolation.
/// - `user`: its user id, if it has one of its own.
struct AgentFolder: Sendable {
  let path: String

  /// - Parameters:
  ///   - base: the folder of all agents.
  ///   - launch: distinguishes the agents that were begun for one run.
  init(base: String, key: RunKey, launch: Int) {
    path = "\(base)/\(key.reviewID.lowercase)-\(key.attempt)-\(launch)"
  }

  init(path: String) { self.path = path }

  var outputPath: String { path + "/out" }
  var errorPath: String { path + "/err" }
  private var processPath: String { path + "/process" }
  private var exitPath: String { path + "/exit" }
  private var userPath: String { path + "/user" }
  var temporaryPath: String { path + "/tmp" }

  /// Run by `/bin/sh`, with the folder and the words of the command as arguments. It is never isolated: no agent can write what it
  /// writes, or end it. Builtins only, so that nothing else has to be installed. The trap keeps the shell alive while the command handles a TERM; the command itself has the default again.
  static let script = """
    set -C
    folder=$1
    shift
    { read -r stat </proc/$$/stat && read -r boot </proc/sys/kernel/random/boot_id &&
      printf '%s\\n%s\\n' "$stat" "$boot" >"$folder/process"; } || exit 125
    set +C
    trap : TERM INT HUP
    "$@"
    status=$?
    printf '%s\\n' "$status" >"$folder/exit"
    exit "$status"
    """

  /// Makes the folder, for the worker's user alone.
  /// - Parameter user: the run's own; it can pass to its temporary folder, and see nothing on the way.
  /// - Throws: `Errno`.
  func create(for user: UInt32? = nil) throws {
    try make(path, 0o700)
    try make(temporaryPath, 0o700)
    guard let user else { return }
    guard FileManager.default.createFile(atPath: userPath, contents: Data("\(user)\n".utf8)),
      chown(temporaryPath, user, user) == 0, chmod(path, 0o711) == 0
    else { throw Errno(rawValue: errno) }
  }

  private func make(_ path: String, _ mode: mode_t) throws {
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
  }

  /// The run's own user id; nil if it has none.
  var user: UInt32? {
    FileManager.default.contents(atPath: userPath).flatMap { UInt32(String(decoding: $0.dropLast(), as: UTF8.self)) }
  }

  /// Deletes the folder and all that is in it, also what the agent has protected against that.
  func remove() {
    guard (try? FileManager.default.removeItem(atPath: path)) == nil else { return }
    Self.openFolders(path)
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Nothing can be deleted from a folder that cannot be written.
  private static func openFolders(_ path: String) {
    chmod(path, 0o700)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      let inner = "\(path)/\(name)"
      var status = stat()
      if lstat(inner, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { openFolders(inner) }
    }
  }

  /// Opens a file of the agent's output for it to append to.
  /// - Parameter user: the run's own, who may open it again as `/dev/stdout`.
  func openForAgent(_ path: String, user: UInt32?) throws -> FileDescriptor {
    let file = try FileDescriptor.open(
      FilePath(path), .writeOnly, options: [.create, .append, .closeOnExec], permissions: [.ownerRead, .ownerWrite])
    if let user, fchown(file.rawValue, user, user) != 0 {
      try? file.close()
      throw Errno(rawValue: errno)
    }
    return file
  }

  /// What a worker finds that did not start the agent.
  enum FoundAgent: Sendable, Equatable {
    case process(ProcessIdentity)
    /// It has not begun, and never will.
    case neverBegan
    /// The machine has lost what was written.
    case nothing
  }

  /// Finds out who the agent is, or makes sure that it does not begin.
  func find() async -> FoundAgent {
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

  /// The command's exit status, 128 plus the signal if a signal ended it; nil if it has not been written.
  func exitStatus() -> Int32? {
    guard let data = FileManager.default.contents(atPath: exitPath), data.last == UInt8(ascii: "\n") else { return nil }
    return Int32(String(decoding: data.dropLast(), as: UTF8.self))
  }
}

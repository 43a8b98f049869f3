internal import FoundationEssentials
internal import Glibc
internal import Subprocess
internal import SystemPackage

/// How the runs of a worker are kept apart from each other, and from the worker.
package enum AgentIsolation: Sendable, Equatable {
  /// Not at all: all agents are the worker's user.
  case off
  /// A user, process, mount and IPC namespace for each run. It has its own `/tmp`, sees its own processes alone, and not the worker's
  /// state. Works without root if the kernel lets a user make namespaces.
  case namespaces
  /// A user id for each run at once, of this range. Takes root, or the capabilities CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_CHOWN.
  case users(ClosedRange<UInt32>)
}

/// A setting asks for an isolation that this machine does not allow.
package struct IsolationFault: Error, Equatable, CustomStringConvertible {
  package var reason: String

  package var description: String {
    "BATON_AGENT_ISOLATION: \(reason). Allow it, or set another of off, namespaces, users"
  }
}

/// The words that start an agent's command within its isolation.
struct AgentLaunch: Sendable {
  let isolation: AgentIsolation
  /// Files and folders that agents must not see.
  let hidden: [String]

  /// Not by PATH: that is the agent's.
  private static let unshare = "/usr/bin/unshare"
  private static let setpriv = "/usr/bin/setpriv"
  private static let mount = "/bin/mount"

  /// What becomes process 1 of the run's namespace. Like the shell outside, it lives until the command has handled a TERM; when it
  /// ends, the kernel kills all that is left, also what has made a session of its own.
  private static let initScript = #"trap : TERM INT HUP; /bin/sh -c "$1"; exit $?"#

  /// Covers what is hidden, gives the run its own temporary folder, and gives up all rights over the namespace. In a subshell, so that
  /// the command begins where the worker is.
  private static let setUpScript = """
    set -eu
    trap 'echo "baton: the run could not be isolated, and did not begin" >&2' EXIT
    command=$1 folder=$2
    shift 2
    (
      cd "$folder"
      for path in "$@"; do
        if [ -d "$path" ]; then \(mount) -t tmpfs -o size=4k,mode=0555 none "$path"
        elif [ -e "$path" ]; then \(mount) --bind /dev/null "$path"; fi
      done
      if [ -d /dev/shm ]; then \(mount) -t tmpfs -o mode=1777 none /dev/shm; fi
      for path in /var/tmp /tmp; do
        if [ -d "$path" ]; then \(mount) --no-canonicalize --bind tmp "$path"; fi
      done
    )
    trap - EXIT
    exec \(setpriv) --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- \
      /bin/sh -c '\(initScript)' baton-agent "$command"
    """

  /// - Parameters:
  ///   - folder: of the run; its `tmp` is there.
  ///   - user: of the run, with ``AgentIsolation/users(_:)``.
  func words(_ command: String, folder: String, user: UInt32?) -> [String] {
    switch isolation {
    case .off: ["/bin/sh", "-c", command]
    case .namespaces:
      [
        Self.unshare, "--user", "--map-current-user", "--keep-caps", "--pid", "--fork", "--kill-child", "--mount",
        "--mount-proc", "--ipc", "/bin/sh", "-c", Self.setUpScript, "baton-isolation", command, folder,
      ] + hidden
    case .users:
      [Self.setpriv] + Self.identity(user ?? UInt32.max) + ["--", "/bin/sh", "-c", command]
    }
  }

  /// An id that cannot be is refused by setpriv.
  private static func identity(_ user: UInt32) -> [String] {
    [
      "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all",
      "--no-new-privs",
    ]
  }

  /// Tries it out once, with a command that does nothing.
  /// - Parameter folder: may be made, and is removed.
  /// - Throws: ``IsolationFault`` if it is not possible here.
  func check(in folder: AgentFolder) async throws {
    guard isolation != .off else { return }
    for program in [Self.unshare, Self.setpriv, Self.mount] where access(program, X_OK) != 0 {
      throw IsolationFault(reason: "\(program) is not there; Debian's packages util-linux and mount have it")
    }
    var users: [UInt32?] = [nil]
    if case .users(let range) = isolation { users = [range.lowerBound, range.upperBound] }
    for user in users {
      defer { folder.remove() }
      do {
        try folder.create(for: user)
      } catch {
        throw IsolationFault(
          reason:
            "\(isolation.name) is not possible here: \(folder.path) cannot be made for user \(user ?? getuid()): \(error)"
        )
      }
      let words = words("exit 0", folder: folder.path, user: user)
      let result = try await Subprocess.run(
        .path(FilePath(words[0])), arguments: Arguments(Array(words.dropFirst())), environment: .custom([:]),
        input: .none, output: .discarded, error: .string(limit: 4_096))
      guard result.terminationStatus == .exited(0) else {
        let said = result.standardError.split(whereSeparator: \.isNewline).joined(separator: "; ")
        throw IsolationFault(reason: "\(isolation.name) is not possible here: \(said)")
      }
    }
  }

  /// Kills whatever a run's user still has, in whichever session.
  static func sweep(_ user: UInt32) async {
    _ = try? await Subprocess.run(
      .path(FilePath(setpriv)),
      arguments: Arguments(identity(user) + ["--", "/bin/sh", "-c", "kill -KILL -1"]), environment: .custom([:]),
      input: .none, output: .discarded, error: .discarded)
  }
}

extension AgentIsolation {
  fileprivate var name: String {
    switch self {
    case .off: "off"
    case .namespaces: "namespaces"
    case .users: "users"
    }
  }
}

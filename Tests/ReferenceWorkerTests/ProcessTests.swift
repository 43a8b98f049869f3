import FoundationEssentials
import Glibc
import Resilience
import Testing

@testable import ReferenceWorker

@Suite("Processes that outlive a worker")
struct ProcessTests {
  @Test("a process's name may hold anything")
  func statLine() {
    let rest = "S 1 77 78 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 20"
    for name in ["sh", "a b", ") Z 1 1 1 (", ""] {
      let stat = ProcessStat("42 (\(name)) \(rest)")
      #expect(stat?.id == 42 && stat?.state == "S" && stat?.session == 78 && stat?.startTicks == 123_456)
    }
    for line in ["", "42", "42 (sh)", "42 (sh) S 1 2", "x (sh) \(rest)"] { #expect(ProcessStat(line) == nil) }
  }

  @Test("a number that was given to another process is not the process")
  func reusedNumber() throws {
    let own = try #require(ProcessIdentity(getpid()))
    #expect(own.isAlive && own.startTicks > 0 && !own.bootID.isEmpty)
    let stat = try #require(FileManager.default.contents(atPath: "/proc/self/stat"))
    #expect(ProcessIdentity(stat: String(decoding: stat, as: UTF8.self), bootID: own.bootID) == own)
    let earlier = "\(getpid()) (sh) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0"
    let other = try #require(ProcessIdentity(stat: earlier, bootID: own.bootID))
    #expect(!other.isAlive)
    other.signalGroup(SIGKILL, mark: "PATH=/")
    let otherBoot = try #require(
      ProcessIdentity(stat: String(decoding: stat, as: UTF8.self), bootID: "another"))
    #expect(!otherBoot.isAlive)
  }

  private func watch(_ folder: AgentFolder) -> AgentWatch {
    AgentWatch(
      folder: folder, mark: "BATON_REVIEW_ID=none", killGrace: .zero, outputByteCountMax: 1 << 20,
      redact: RunRedactor(startRequest(), ofWorker: []), onLines: { _, _ in }, onOverflow: {})
  }

  @Test("an agent whose output cannot be read has not succeeded, whatever its exit status", arguments: [true, false])
  func unreadOutput(isThere: Bool) async throws {
    let folder = AgentFolder(path: try makeFolder())
    try Data("0\n".utf8).write(to: URL(filePath: folder.path + "/exit"))
    // A folder can be opened, and not be read.
    if isThere {
      try FileManager.default.createDirectory(atPath: folder.outputPath, withIntermediateDirectories: false)
    }
    let exit = try #require(await watch(folder).follow(nil, from: 0, stop: Wakeup()))
    guard case .unread(let reason) = exit else {
      Issue.record("\(exit)")
      return
    }
    #expect(!reason.isEmpty && exit.errorMessage?.contains(reason) == true && !exit.isLoss)
    try FileManager.default.removeItem(atPath: folder.path)
  }

  @Test("an agent that printed nothing ends with its exit status")
  func noOutput() async throws {
    let folder = AgentFolder(path: try makeFolder())
    try Data("0\n".utf8).write(to: URL(filePath: folder.path + "/exit"))
    try Data().write(to: URL(filePath: folder.outputPath))
    #expect(await watch(folder).follow(nil, from: 0, stop: Wakeup()) == .exited(status: 0, lastWords: ""))
    try FileManager.default.removeItem(atPath: folder.path)
  }
}

import Foundation
import Support
import Testing

@testable import ReferenceWorker

@Suite("Orphans")
struct OrphanReaperTests {
  /// A child of this process that ends at once, and that nothing waits for.
  private func zombie() async throws -> pid_t {
    var process: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
    defer { free(arguments[0]) }
    try #require(posix_spawn(&process, "/bin/true", nil, nil, &arguments, nil) == 0)
    try await eventually("it has ended") { ProcessStat.read(process)?.state == "Z" }
    return process
  }

  @Test("a zombie that is no agent is waited for")
  func orphan() async throws {
    let process = try await zombie()
    OrphanReaper().reap()
    #expect(ProcessStat.read(process) == nil)
  }

  @Test("an agent's exit status is left to the code that started it")
  func agent() async throws {
    let reaper = OrphanReaper()
    let start = reaper.begin()
    let process = try await zombie()
    // Which process it is, is not known yet.
    reaper.reap()
    #expect(ProcessStat.read(process)?.state == "Z")
    start.began(process)
    let orphan = try await zombie()
    reaper.reap()
    #expect(ProcessStat.read(process)?.state == "Z" && ProcessStat.read(orphan) == nil)
    var status: Int32 = 0
    #expect(waitpid(process, &status, WNOHANG) == process)
    start.ended()
  }
}

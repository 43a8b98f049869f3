import FoundationEssentials
import GRDB
import Glibc
import Primitives
import Reviews
import Testing
import WorkerAPI

@testable import ReferenceWorker

private let now = Timestamp(microseconds: 1_000_000)
private let success = AgentExit.exited(status: 0, lastWords: "")

/// A store on a file of its own, with what a test does to it.
private struct Stored {
  let path: String
  let store: RunStore
  let id = UUID()
  var key: RunKey { RunKey(reviewID: id, attempt: 1) }

  init(_ change: (inout RunStore.Limits) -> Void = { _ in }) throws {
    path = try makeFolder() + "/state.sqlite"
    var limits = RunStore.Limits()
    change(&limits)
    store = RunStore(database: try WorkerDatabase(path: path), limits: limits)
  }

  func start(_ id: UUID? = nil, attempt: Int = 1) async throws -> (StartVerdict, Consequences) {
    let request = startRequest(id ?? self.id, attempt: attempt)
    return try await store.start(request, body: request.encode(), trace: nil, at: now)
  }

  func begin(limit: Int = 2) async throws -> RunKey? { try await store.beginNext(limit: limit, at: now)?.key }

  func end(_ key: RunKey, _ exit: AgentExit = success, lost: LostRuns = .fail) async throws -> RunState? {
    try await store.agentEnded(key, exit, lost: lost, at: now).0
  }

  func state(_ id: UUID? = nil) async throws -> RunState? { try await store.status(id ?? self.id)?.status }

  func say(_ lines: String..., offset: Int64 = 0) async throws -> Consequences {
    try await store.record(lines.map { AgentLine($0) }, of: key, upTo: offset, at: now)
  }

  /// The statuses that wait to be reported, in order.
  func callbacks() async throws -> [String] {
    var statuses: [String] = []
    while let callback = try await store.nextCallback(id) {
      statuses.append(callback.status)
      try await store.settle(callback)
    }
    return statuses
  }
}

@Suite("Run store")
struct RunStoreTests {
  @Test("the same attempt again changes nothing, whatever its status")
  func sameAttemptAgain() async throws {
    let stored = try Stored()
    let other = UUID()
    #expect(try await stored.start(other).0 == .accepted(.queued, agentVersion: "7"))
    #expect(try await stored.begin(limit: 1)?.reviewID == other)
    for _ in 0..<2 { #expect(try await stored.start().0 == .accepted(.queued, agentVersion: "7")) }
    #expect(try await stored.start().1 == Consequences(makesRoom: false))
    #expect(try await stored.begin(limit: 1) == nil)
    _ = try await stored.end(RunKey(reviewID: other, attempt: 1))
    #expect(try await stored.begin(limit: 1) == stored.key)
    _ = try await stored.say("one", "two", #"{"usage":{"totalTokensIn":5}}"#)
    #expect(try await stored.start().0 == .accepted(.running, agentVersion: "7"))
    #expect(try await stored.store.events(stored.id)?.map(\.message) == ["one", "two"])
    #expect(try await stored.store.status(stored.id)?.usage?.totalTokensIn == 5)
    _ = try await stored.end(stored.key)
    #expect(try await stored.start().0 == .accepted(.completed, agentVersion: "7"))
    #expect(try await stored.begin() == nil)
  }

  @Test("an older attempt is refused")
  func olderAttempt() async throws {
    let stored = try Stored()
    _ = try await stored.start(attempt: 3)
    #expect(try await stored.start(attempt: 2).0 == .older(known: 3))
    #expect(try await stored.store.status(stored.id)?.attempt == 3)
  }

  @Test("a newer attempt ends the older run, begins when its agent has ended, and is the only one reported to Baton")
  func newerAttempt() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.begin()
    let (verdict, consequences) = try await stored.start(attempt: 2)
    #expect(verdict == .accepted(.queued, agentVersion: "7"))
    #expect(consequences.stops == [stored.key])
    #expect(try await stored.store.stopReason(stored.key) == .replaced)
    #expect(try await stored.begin() == nil)
    #expect(try await stored.end(stored.key, .killed(signal: 15, lastWords: "")) == .cancelled)
    #expect(try await stored.begin() == RunKey(reviewID: stored.id, attempt: 2))
    #expect(try await stored.callbacks() == ["running"])
    #expect(try await stored.state() == .running)
  }

  @Test("a newer attempt takes the place of one that waits, and its prompt and tokens go")
  func newerAttemptOfWaiting() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    let consequences = try await stored.start(attempt: 2).1
    #expect(consequences.stops.isEmpty && consequences.wipes)
    #expect(try await stored.begin() == RunKey(reviewID: stored.id, attempt: 2))
    #expect(try await stored.begin() == nil)
  }

  @Test("a review that waits for its older agent does not hold up the others, nor lose its turn")
  func passedOver() async throws {
    let stored = try Stored()
    let (other, third) = (UUID(), UUID())
    _ = try await stored.start()
    _ = try await stored.begin()
    for (id, attempt) in [(stored.id, 2), (other, 1), (third, 1)] { _ = try await stored.start(id, attempt: attempt) }
    #expect(try await stored.begin()?.reviewID == other)
    #expect(try await stored.begin() == nil)
    _ = try await stored.end(stored.key)
    #expect(try await stored.begin() == RunKey(reviewID: stored.id, attempt: 2))
    _ = try await stored.end(RunKey(reviewID: other, attempt: 1))
    #expect(try await stored.begin()?.reviewID == third)
  }

  @Test("a cancelled run ends as cancelled, however its agent ends, and says why")
  func cancelRunning() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.begin()
    let first = try await stored.store.cancel(stored.id, upTo: 1, reason: "superseded", at: now)
    #expect(first.0 && first.1.stops == [stored.key])
    let second = try await stored.store.cancel(stored.id, upTo: 1, reason: nil, at: now)
    #expect(second.0 && second.1.stops.isEmpty)
    #expect(try await stored.end(stored.key) == .cancelled)
    #expect(try await stored.store.status(stored.id)?.errorMessage == "superseded")
    #expect(try await stored.callbacks() == ["running", "cancelled"])
    #expect(try await stored.store.cancel(stored.id, upTo: 1, reason: nil, at: now).0)
  }

  @Test("a waiting run is cancelled at once and never begins")
  func cancelWaiting() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    let (success, consequences) = try await stored.store.cancel(stored.id, upTo: nil, reason: nil, at: now)
    #expect(success && consequences.stops.isEmpty && consequences.reports && consequences.wipes)
    #expect(try await stored.begin() == nil)
    #expect(try await stored.callbacks() == ["cancelled"])
  }

  @Test("a cancel of an attempt that is not known yet is remembered, up to that attempt")
  func cancelUnknown() async throws {
    let stored = try Stored()
    for attempt in [2, 1] {
      #expect(try await stored.store.cancel(stored.id, upTo: attempt, reason: nil, at: now).0)
    }
    #expect(try await stored.start(attempt: 1).0 == .accepted(.cancelled, agentVersion: "7"))
    #expect(try await stored.start(attempt: 2).0 == .accepted(.cancelled, agentVersion: "7"))
    #expect(try await stored.start(attempt: 3).0 == .accepted(.queued, agentVersion: "7"))
    #expect(try await stored.begin() == RunKey(reviewID: stored.id, attempt: 3))
  }

  @Test("a cancel of an older attempt, of an unknown one without a number, or of what has ended cancels nothing")
  func cancelNothing() async throws {
    let stored = try Stored()
    #expect(try await !stored.store.cancel(stored.id, upTo: nil, reason: nil, at: now).0)
    _ = try await stored.start(attempt: 2)
    _ = try await stored.begin()
    #expect(try await !stored.store.cancel(stored.id, upTo: 1, reason: nil, at: now).0)
    #expect(try await stored.state() == .running)
    _ = try await stored.end(RunKey(reviewID: stored.id, attempt: 2))
    #expect(try await !stored.store.cancel(stored.id, upTo: 2, reason: nil, at: now).0)
    #expect(try await stored.state() == .completed)
  }

  @Test(
    "how the agent ended, and why, decides how the run ends",
    arguments: [
      (nil, success, LostRuns.fail, RunState.completed),
      (nil, .exited(status: 3, lastWords: "no model"), .fail, .failed),
      (nil, .killed(signal: 9, lastWords: ""), .restart, .failed), (nil, .notStarted("no shell"), .restart, .failed),
      (nil, .lost, .fail, .failed), (nil, .lost, .restart, nil), (nil, .neverBegan, .fail, nil),
      (.timeout, success, .restart, .failed), (.overflow, .killed(signal: 9, lastWords: ""), .restart, .failed),
      (nil, .killed(signal: 15, lastWords: ""), .fail, .failed),
      (nil, .killed(signal: 15, lastWords: ""), .restart, nil),
      (.timeout, .killed(signal: 15, lastWords: ""), .restart, .failed), (.cancelled, .lost, .restart, .cancelled),
      (.cancelled, .neverBegan, .restart, .cancelled),
    ] as [(StopReason?, AgentExit, LostRuns, RunState?)])
  func ends(_ reason: StopReason?, _ exit: AgentExit, _ lost: LostRuns, _ state: RunState?) async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.begin()
    if let reason { #expect(try await stored.store.stop(stored.key, for: reason, message: "stopped")) }
    #expect(try await stored.end(stored.key, exit, lost: lost) == state)
    let status = try #require(try await stored.store.status(stored.id))
    #expect(status.status == state ?? .queued)
    #expect(status.errorMessage == (state == nil ? nil : reason == nil ? exit.errorMessage : "stopped"))
    // What waits again begins again, as another launch of the same attempt.
    let next = try await stored.store.beginNext(limit: 1, at: now)
    #expect(next?.key == (state == nil ? stored.key : nil) && next?.launch == (state == nil ? 2 : nil))
  }

  @Test("a run whose agent is lost again and again fails in the end")
  func lostAgain() async throws {
    let stored = try Stored { $0.launchMax = 3 }
    _ = try await stored.start()
    for launch in 1...3 {
      #expect(try await stored.store.beginNext(limit: 1, at: now)?.launch == launch)
      #expect(try await stored.end(stored.key, .lost, lost: .restart) == (launch == 3 ? .failed : nil))
    }
    #expect(try await stored.callbacks() == ["running", "failed"])
  }

  @Test("lines become events, session, usage and gate; a new session is reported, once")
  func recordsLines() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.begin()
    #expect(try await stored.callbacks() == ["running"])
    #expect(try await !stored.say("plain", offset: 6).reports)
    #expect(try await stored.say(#"{"sessionId":"s1"}"#, offset: 20).reports)
    #expect(try await !stored.say(#"{"sessionId":"s1","gateResult":"fail"}"#, offset: 60).reports)
    _ = try await stored.say(#"{"usage":{"model":"m","totalTokensIn":5}}"#, offset: 100)
    #expect(try await stored.callbacks() == ["running"])
    let order = try #require(try await stored.store.interrupted().first)
    #expect(order.outputOffset == 100 && order.launch == 1)
    _ = try await stored.end(stored.key)
    _ = try await stored.say("late", offset: 200)
    #expect(try await stored.store.events(stored.id)?.map(\.message) == ["plain"])
    let status = try #require(try await stored.store.status(stored.id))
    #expect(status.sessionId == "s1" && status.gateResult == .fail && status.usage?.totalTokensIn == 5)
  }

  @Test("a run keeps its newest events, by number and by size")
  func boundsEvents() async throws {
    let stored = try Stored {
      $0.eventCountMax = 3
      $0.eventByteCountMax = 100
    }
    _ = try await stored.start()
    _ = try await stored.begin()
    for number in 0..<10 { _ = try await stored.say("\(number)") }
    #expect(try await stored.store.events(stored.id)?.map(\.message) == ["7", "8", "9"])
    _ = try await stored.say(String(repeating: "x", count: 60), String(repeating: "y", count: 60))
    #expect(try await stored.store.events(stored.id)?.map { $0.message?.first } == ["y"])
    _ = try await stored.say(String(repeating: "z", count: 500))
    #expect(try await stored.store.events(stored.id)?.map { $0.message?.first } == ["z"])
  }

  @Test("prompt and tokens are in none of the files once the run has ended and its callback is accepted")
  func wipesSecrets() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.start(UUID())
    _ = try await stored.begin(limit: 1)
    for number in 0..<200 { _ = try await stored.say("line \(number)") }
    let token = "jwt-of-\(stored.id.lowercase)-1"
    try await stored.store.database.truncateLog()
    #expect(contains(stored.path, token))
    _ = try await stored.end(stored.key)
    #expect(try await stored.callbacks() == ["running", "completed"])
    try await stored.store.database.truncateLog()
    #expect(!contains(stored.path, token))
    // The other run has not ended.
    #expect(contains(stored.path, "ghs_0123456789"))
  }

  private func contains(_ path: String, _ text: String) -> Bool {
    [path, path + "-wal"].contains { path in
      let bytes = Array(FileManager.default.contents(atPath: path) ?? Data())
      return !bytes.ranges(of: Array(text.utf8)).isEmpty
    }
  }

  @Test("the file belongs to its owner alone, and to one worker at a time")
  func ownsFile() async throws {
    let stored = try Stored()
    let mode = try FileManager.default.attributesOfItem(atPath: stored.path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    #expect(throws: WorkerStateFault.self) { try WorkerDatabase(path: stored.path) }
    #expect(throws: WorkerStateFault.self) { try WorkerDatabase(path: "/nowhere/state.sqlite") }
    let other = try makeFolder() + "/text.sqlite"
    #expect(FileManager.default.createFile(atPath: other, contents: Data(String(repeating: "no ", count: 500).utf8)))
    #expect(throws: WorkerStateFault.self) { try WorkerDatabase(path: other) }
  }

  @Test("a state of the version before is taken over, with its runs and callbacks")
  func olderState() async throws {
    let stored = try Stored()
    _ = try await stored.start()
    _ = try await stored.begin()
    try await stored.store.database.queue.write { database in
      try database.execute(
        sql: """
          ALTER TABLE runs DROP COLUMN traceparent; DELETE FROM grdb_migrations WHERE identifier NOT LIKE '1:%'
          """)
    }
    try stored.store.database.close()
    let store = RunStore(database: try WorkerDatabase(path: stored.path), limits: RunStore.Limits())
    let order = try #require(try await store.interrupted().first)
    #expect(order.key == stored.key && order.trace == nil)
    #expect(try await store.nextCallback(stored.id)?.status == "running")
    #expect(try await store.agentEnded(stored.key, success, lost: .fail, at: now).0 == .completed)
  }

  @Test("what has ended is forgotten after its time, but not before Baton has accepted its last callback")
  func prunes() async throws {
    let stored = try Stored { $0.retention = .seconds(10) }
    let other = UUID()
    for id in [stored.id, other] { _ = try await stored.start(id) }
    for id in [stored.id, other] {
      _ = try await stored.begin()
      _ = try await stored.end(RunKey(reviewID: id, attempt: 1))
    }
    _ = try await stored.callbacks()
    try await stored.store.prune(at: Timestamp(microseconds: now.microseconds + 9_000_000))
    #expect(try await stored.state() == .completed)
    let later = Timestamp(microseconds: now.microseconds + 11_000_000)
    try await stored.store.prune(at: later)
    #expect(try await stored.state() == nil)
    #expect(try await stored.state(other) == .completed)
    // What Baton does not want does not keep it.
    while let callback = try await stored.store.nextCallback(other), callback.status == "running" {
      try await stored.store.refuse(callback, at: now)
    }
    try await stored.store.refuse(try #require(try await stored.store.nextCallback(other)), at: now)
    try await stored.store.prune(at: later)
    #expect(try await stored.state(other) == nil)
  }

  @Test("ended runs keep their events up to a bound, the longest ended lose them first")
  func boundsEndedEvents() async throws {
    let stored = try Stored { $0.endedEventByteCountMax = 25 }
    var ids: [UUID] = []
    for number in 0..<4 {
      let key = RunKey(reviewID: UUID(), attempt: 1)
      ids.append(key.reviewID)
      _ = try await stored.start(key.reviewID)
      _ = try await stored.begin()
      _ = try await stored.store.record([AgentLine("0123456789")], of: key, upTo: 11, at: now)
      let end = Timestamp(microseconds: now.microseconds + Int64(number))
      _ = try await stored.store.agentEnded(key, success, lost: .fail, at: end)
    }
    try await stored.store.prune(at: now)
    var counts: [Int?] = []
    for id in ids { counts.append(try await stored.store.events(id)?.count) }
    #expect(counts == [0, 0, 1, 1])
  }

  @Test("writes of one transaction stand or fall each for itself")
  func groupCommit() async throws {
    let stored = try Stored()
    struct Failed: Error {}
    await withTaskGroup(of: Bool.self) { group in
      for number in 0..<100 {
        group.addTask {
          let isGood = !number.isMultiple(of: 3)
          do {
            try await stored.store.database.commits.write { database in
              try database.execute(
                sql: "INSERT INTO cancels (review_id, attempt, at) VALUES (?, 1, 1)", arguments: ["\(number)"])
              if !isGood { throw Failed() }
            }
            return isGood
          } catch {
            return !isGood && error is Failed
          }
        }
      }
      for await isRight in group { #expect(isRight) }
    }
    let count = try await stored.store.database.queue.read { database in
      try Int.fetchOne(database, sql: "SELECT count(*) FROM cancels")
    }
    #expect(count == 66)
  }
}

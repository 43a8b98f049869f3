import FoundationEssentials
import Reviews
import Testing
import WorkerAPI

@testable import ReferenceWorker

private let now = Timestamp(microseconds: 1_000_000)
private let id = UUID()

private func makeOrder(_ id: UUID = id, attempt: Int = 1) -> Run.Order {
  let request = StartRequest(
    reviewId: id, attempt: attempt, authToken: "token-\(attempt)",
    sessionInput: SessionInput(
      githubRepo: "a/b", prompt: "p", model: "m", platform: .github, upstreamBranch: "main", githubToken: "ghs_secret"),
    owner: RunOwner(type: .org, id: "a"), maxReviewTimeMinutes: 5)
  return Run.Order(request: request, body: request.encode())
}

private func ledger(concurrency: Int = 2, eventCountMax: Int = 10) -> RunLedger {
  RunLedger(concurrency: concurrency, eventCountMax: eventCountMax)
}

extension RunLedger {
  fileprivate mutating func start(_ id: UUID = id, attempt: Int = 1) -> (Verdict, [Action]) {
    start(makeOrder(id, attempt: attempt), at: now)
  }
}

extension [RunLedger.Action] {
  fileprivate var begun: [RunKey] { compactMap { if case .begin(let key) = $0 { key } else { nil } } }
  fileprivate var stopped: [RunKey] { compactMap { if case .stop(let key) = $0 { key } else { nil } } }
  fileprivate var reported: [StatusCallback.Status] {
    compactMap { if case .report(let entry) = $0 { entry.callback.status } else { nil } }
  }
}

private let success = AgentExit.exited(status: 0, lastWords: "")
private let key = RunKey(reviewID: id, attempt: 1)

@Suite("Run ledger")
struct RunLedgerTests {
  @Test("the same attempt again changes nothing, whatever has become of it")
  func sameAttemptAgain() {
    var ledger = ledger(concurrency: 1)
    let other = UUID()
    #expect(ledger.start(other).1.begun.count == 1)
    #expect(ledger.start() == (.accepted(.queued, agentVersion: nil), []))
    #expect(ledger.start() == (.accepted(.queued, agentVersion: nil), []))
    #expect(ledger.agentEnded(RunKey(reviewID: other, attempt: 1), success, at: now).begun == [key])
    #expect(ledger.start() == (.accepted(.running, agentVersion: nil), []))
    _ = ledger.agentEnded(key, success, at: now)
    #expect(ledger.start() == (.accepted(.completed, agentVersion: nil), []))
    #expect(ledger.start(other) == (.accepted(.completed, agentVersion: nil), []))
  }

  @Test("an older attempt is refused")
  func olderAttempt() {
    var ledger = ledger()
    _ = ledger.start(attempt: 3)
    #expect(ledger.start(attempt: 2) == (.older(known: 3), []))
    #expect(ledger.run(id)?.key.attempt == 3)
  }

  @Test("a newer attempt ends the older run, and begins when its agent has ended")
  func newerAttempt() {
    var ledger = ledger()
    _ = ledger.start()
    let (verdict, actions) = ledger.start(attempt: 2)
    #expect(verdict == .accepted(.queued, agentVersion: nil))
    #expect(actions == [.stop(key)])
    let next = ledger.agentEnded(key, .killed(signal: 15, lastWords: ""), at: now)
    #expect(next.begun == [RunKey(reviewID: id, attempt: 2)])
    #expect(next.reported == [.running])
    #expect(ledger.run(id)?.state == .running)
  }

  @Test("a newer attempt takes the place of one that waits")
  func newerAttemptOfWaiting() {
    var ledger = ledger(concurrency: 1)
    let other = RunKey(reviewID: UUID(), attempt: 1)
    _ = ledger.start(other.reviewID)
    _ = ledger.start()
    #expect(ledger.start(attempt: 2).1 == [])
    #expect(ledger.agentEnded(other, success, at: now).begun == [RunKey(reviewID: id, attempt: 2)])
    #expect(ledger.liveCount == 1)
  }

  @Test("a review that waits for its older agent does not hold up the others, nor lose its turn")
  func passedOver() {
    var ledger = ledger(concurrency: 2)
    let other = UUID()
    _ = ledger.start()
    _ = ledger.start(attempt: 2)
    #expect(ledger.start(other).1.begun == [RunKey(reviewID: other, attempt: 1)])
    let third = UUID()
    _ = ledger.start(third)
    #expect(ledger.agentEnded(key, success, at: now).begun == [RunKey(reviewID: id, attempt: 2)])
    #expect(ledger.agentEnded(RunKey(reviewID: other, attempt: 1), success, at: now).begun.map(\.reviewID) == [third])
  }

  @Test("at most so many agents are alive, and the rest begin in order")
  func concurrency() {
    var ledger = ledger(concurrency: 2)
    let ids = (0..<6).map { _ in UUID() }
    var begun = ids.flatMap { ledger.start($0).1.begun }
    #expect(begun.map(\.reviewID) == Array(ids[0..<2]))
    var position = 0
    while position < begun.count {
      #expect(ledger.liveCount <= 2)
      begun += ledger.agentEnded(begun[position], success, at: now).begun
      position += 1
    }
    #expect(begun.map(\.reviewID) == ids)
    #expect(ledger.liveCount == 0)
  }

  @Test("a cancelled run ends as cancelled, however its agent ends")
  func cancelRunning() {
    var ledger = ledger()
    _ = ledger.start()
    #expect(ledger.cancel(id, upTo: 1, reason: "superseded", at: now) == (true, [.stop(key)]))
    #expect(ledger.cancel(id, upTo: 1, reason: nil, at: now) == (true, []))
    #expect(ledger.agentEnded(key, success, at: now).reported == [.cancelled])
    #expect(ledger.run(id)?.state == .cancelled)
    #expect(ledger.cancel(id, upTo: 1, reason: nil, at: now) == (true, []))
  }

  @Test("a waiting run is cancelled at once and never begins")
  func cancelWaiting() {
    var ledger = ledger(concurrency: 1)
    let other = RunKey(reviewID: UUID(), attempt: 1)
    _ = ledger.start(other.reviewID)
    _ = ledger.start()
    let (success, actions) = ledger.cancel(id, upTo: nil, reason: nil, at: now)
    #expect(success && actions.reported == [.cancelled] && actions.stopped.isEmpty)
    #expect(ledger.agentEnded(other, .exited(status: 0, lastWords: ""), at: now).begun.isEmpty)
  }

  @Test("a cancel of an attempt that is not known yet is remembered, and only up to that attempt")
  func cancelUnknown() {
    var ledger = ledger()
    #expect(ledger.cancel(id, upTo: 2, reason: nil, at: now) == (true, []))
    #expect(ledger.cancel(id, upTo: 1, reason: nil, at: now) == (true, []))
    #expect(ledger.start(attempt: 1) == (.accepted(.cancelled, agentVersion: nil), []))
    #expect(ledger.start(attempt: 2) == (.accepted(.cancelled, agentVersion: nil), []))
    #expect(ledger.start(attempt: 3).1.begun == [RunKey(reviewID: id, attempt: 3)])
  }

  @Test("a cancel of an older attempt, of an unknown one without a number, or of what has ended cancels nothing")
  func cancelNothing() {
    var ledger = ledger()
    #expect(ledger.cancel(id, upTo: nil, reason: nil, at: now) == (false, []))
    _ = ledger.start(attempt: 2)
    #expect(ledger.cancel(id, upTo: 1, reason: nil, at: now) == (false, []))
    #expect(ledger.run(id)?.state == .running)
    _ = ledger.agentEnded(RunKey(reviewID: id, attempt: 2), success, at: now)
    #expect(ledger.cancel(id, upTo: 2, reason: nil, at: now) == (false, []))
    #expect(ledger.run(id)?.state == .completed)
  }

  @Test("a run over its time fails as timeout, also where its agent then ends with 0")
  func timeOut() {
    var ledger = ledger()
    _ = ledger.start()
    #expect(ledger.stop(key, for: .timedOut(minutes: 5)) == [.stop(key)])
    #expect(ledger.agentEnded(key, success, at: now).reported == [.failed])
    #expect(ledger.run(id)?.errorMessage == "timeout: the agent took longer than 5 minutes")
  }

  @Test("the exit status decides between completed and failed")
  func exitStatus() {
    for (exit, state) in [
      (success, RunState.completed), (.exited(status: 3, lastWords: "no model"), .failed),
      (.killed(signal: 9, lastWords: ""), .failed), (.notStarted("no shell"), .failed),
    ] {
      var ledger = ledger()
      _ = ledger.start()
      _ = ledger.agentEnded(key, exit, at: now)
      #expect(ledger.run(id)?.state == state)
      #expect(ledger.run(id)?.errorMessage == exit.errorMessage)
    }
  }

  @Test("prompt and tokens are dropped when the run ends, and the last callback still has its token")
  func dropsSecrets() throws {
    var ledger = ledger()
    _ = ledger.start()
    #expect(ledger.order(key) != nil)
    let actions = ledger.agentEnded(key, success, at: now)
    #expect(ledger.order(key) == nil && ledger.run(id)?.order == nil)
    guard case .report(let entry)? = actions.first else {
      Issue.record("no report")
      return
    }
    #expect(entry.authToken == Secret("token-1"))
    #expect(!"\(actions)".contains("token-1"))
  }

  @Test("what the agent says becomes events, session, usage and gate; a new session is reported")
  func recordsLines() {
    var ledger = ledger()
    _ = ledger.start()
    #expect(ledger.record(AgentLine("plain"), of: key, at: now) == [])
    #expect(ledger.record(AgentLine(#"{"sessionId":"s1"}"#), of: key, at: now).reported == [.running])
    #expect(ledger.record(AgentLine(#"{"sessionId":"s1","gateResult":"fail"}"#), of: key, at: now) == [])
    #expect(ledger.record(AgentLine(#"{"usage":{"model":"m","totalTokensIn":5}}"#), of: key, at: now) == [])
    let run = ledger.run(id)
    #expect(run?.events.events.map(\.message) == ["plain"])
    #expect(run?.sessionID == "s1" && run?.gateResult == .fail && run?.usage == Usage(model: "m", totalTokensIn: 5))
    _ = ledger.agentEnded(key, success, at: now)
    #expect(ledger.record(AgentLine("late"), of: key, at: now) == [])
    #expect(ledger.run(id)?.events.events.count == 1)
  }

  @Test("a run keeps its newest events")
  func boundsEvents() {
    var ledger = ledger(eventCountMax: 3)
    _ = ledger.start()
    for number in 0..<10 { _ = ledger.record(AgentLine("\(number)"), of: key, at: now) }
    #expect(ledger.run(id)?.events.events.map(\.message) == ["7", "8", "9"])
    var log = EventLog(countMax: 1_000)
    let event = RunEvent(timestamp: now, eventType: "output")
    for _ in 0..<10 { log.append(event, byteCount: EventLog.byteCountMax / 4) }
    #expect(log.events.count == 4)
  }

  @Test("ended runs are remembered up to a bound")
  func boundsRuns() {
    var ledger = RunLedger(concurrency: 1, eventCountMax: 10, rememberedMax: 3)
    let keys = (0..<5).map { _ in RunKey(reviewID: UUID(), attempt: 1) }
    for key in keys {
      _ = ledger.start(key.reviewID)
      _ = ledger.agentEnded(key, success, at: now)
    }
    #expect(keys.map { ledger.run($0.reviewID)?.state } == [nil, nil, .completed, .completed, .completed])
    for key in keys { _ = ledger.cancel(key.reviewID, upTo: 2, reason: nil, at: now) }
    #expect(ledger.start(keys[4].reviewID, attempt: 2).0 == .accepted(.cancelled, agentVersion: nil))
    #expect(ledger.start(keys[0].reviewID, attempt: 2).0 == .accepted(.running, agentVersion: nil))
  }

  @Test("while it drains nothing begins")
  func drains() {
    var ledger = ledger(concurrency: 1)
    _ = ledger.start()
    let other = UUID()
    _ = ledger.start(other)
    ledger.drain()
    #expect(ledger.agentEnded(key, success, at: now).begun.isEmpty)
    #expect(ledger.run(other)?.state == .queued)
  }
}

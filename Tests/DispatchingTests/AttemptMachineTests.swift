import Platforms
import Primitives
import Resilience
import ReviewStore
import Reviews
import Testing
import WorkerAPI
import WorkerClient

@testable import Dispatching

@Suite("Decisions of an attempt")
struct AttemptMachineTests {
  private let policy = DispatchPolicy()
  private let start = ContinuousClock.now

  private func machine(
    failures: Int = 0, leaseLosses: Int = 0, ambiguousStarts: Int = 0
  ) -> AttemptMachine {
    AttemptMachine(
      .sample(
        failures: failures, leaseLosses: leaseLosses, ambiguousStarts: ambiguousStarts, leasedAt: start),
      policy: policy)
  }

  /// A machine whose payload is ready, and whose worker is about to be called.
  private func calling() throws -> AttemptMachine {
    var machine = machine()
    #expect(machine.begin(isolationGroup: nil) == .enter(group: nil))
    #expect(machine.entered(keyFault: nil, worker: .admitted) == .prepare)
    #expect(machine.prepared(.ready(.sample), at: start) == .admit)
    #expect(machine.admitted(.admitted, at: start) == .call(.sample))
    return machine
  }

  private func outcome(_ action: AttemptMachine.Action) throws -> AttemptOutcome {
    guard case .conclude(let outcome) = action else { throw Unexpected(action: action) }
    return outcome
  }

  private struct Unexpected: Error { var action: AttemptMachine.Action }

  // MARK: Before it is prepared

  @Test(
    "for its last three chances a review is prepared apart, in groups that get smaller, and for the last one alone",
    arguments: [nil, nil, nil, nil, nil, 4, 2, 1, 1].enumerated().map { ($0, $1) })
  func isolated(losses: Int, group: Int?) {
    var machine = machine(leaseLosses: losses)
    #expect(machine.begin(isolationGroup: nil) == .enter(group: group))
  }

  private static let postponed = AttemptOutcome.postponed(
    "other reviews are prepared apart here", for: .exactly(.seconds(1)))

  @Test("while another review is prepared alone, a review is handed back and does not wait", arguments: [0, 3, 6, 7])
  func anotherIsAlone(losses: Int) throws {
    var machine = machine(leaseLosses: losses)
    #expect(try outcome(machine.begin(isolationGroup: .init(max: 1, count: 1))) == Self.postponed)
  }

  @Test("a suspect joins others of as many losses while there is room, and no others")
  func joins() throws {
    var machine = machine(leaseLosses: 5)
    #expect(machine.begin(isolationGroup: .init(max: 4, count: 3)) == .enter(group: 4))
    for group in [(1, 1), (2, 1), (8, 1), (4, 4), (4, 7)] {
      #expect(try outcome(machine.begin(isolationGroup: .init(max: group.0, count: group.1))) == Self.postponed)
    }
  }

  @Test("with a wrong key, or while the worker is unavailable, nothing is prepared")
  func notPrepared() throws {
    let machine = machine()
    #expect(
      try outcome(machine.entered(keyFault: "wrong key", worker: .admitted))
        == .postponed("wrong key", for: .short(), keepsPlace: false))
    #expect(
      try outcome(machine.entered(keyFault: nil, worker: .refused(reason: "out")))
        == .postponed("out", for: .short()))
  }

  // MARK: Preparing

  @Test("each way in which preparing fails has its outcome")
  func preparation() throws {
    let expected: [(AttemptMachine.Preparation, AttemptOutcome)] = [
      (.interruptedByShutdown, .postponed("handed back at shutdown", for: .exactly(.zero))),
      (.tookTooLong, .retry("preparing the payload took longer than \(policy.preparationMax)")),
      (
        .failed(.permanent(.configMissing, message: "none"), isKeyWrong: false), .failed(.configMissing, "none")
      ),
      (
        .failed(.transient(message: "later", retryAfter: .seconds(9)), isKeyWrong: false),
        .postponed("later", for: .exactly(.seconds(9)), keepsPlace: false)
      ),
      (.failed(.transient(message: "odd", retryAfter: nil), isKeyWrong: false), .retry("odd")),
      (
        .failed(.outage(target: "github", message: "down", retryAfter: nil), isKeyWrong: false),
        .postponed("down", for: .short(), keepsPlace: false)
      ),
      (
        .failed(.outage(target: "github", message: "down", retryAfter: .seconds(3)), isKeyWrong: false),
        .postponed("down", for: .exactly(.seconds(3)), keepsPlace: false)
      ),
      (
        .failed(.keyMissing(message: "no key"), isKeyWrong: true),
        .postponed("no key", for: .short(), keepsPlace: false)
      ),
      (
        .failed(.keyMissing(message: "no key"), isKeyWrong: false),
        .postponed("no key", for: .exactly(.seconds(60)), keepsPlace: false)
      ),
    ]
    for (preparation, outcome) in expected {
      var machine = machine()
      _ = machine.begin(isolationGroup: nil)
      #expect(try self.outcome(machine.prepared(preparation, at: start)) == outcome)
    }
  }

  @Test("the row is looked at again if preparing took longer than a look")
  func confirm() throws {
    var machine = machine()
    _ = machine.begin(isolationGroup: nil)
    #expect(machine.prepared(.ready(.sample), at: start + .milliseconds(101)) == .confirm)
    #expect(machine.confirmed(isWanted: true) == .admit)
    _ = machine.begin(isolationGroup: nil)
    #expect(machine.prepared(.ready(.sample), at: start + .milliseconds(101)) == .confirm)
    #expect(try outcome(machine.confirmed(isWanted: false)) == .supersededByRow)
  }

  // MARK: Permission to call

  @Test("a refused call is handed back for a short wait, however long the worker stays unavailable")
  func refused() throws {
    var machine = machine()
    _ = machine.begin(isolationGroup: nil)
    _ = machine.prepared(.ready(.sample), at: start)
    #expect(
      try outcome(machine.admitted(.refused(reason: "out"), at: start))
        == .postponed("out", for: .short()))
  }

  @Test("after a long wait for permission the row is looked at, and a lease that would end is handed back")
  func lateAdmission() throws {
    var machine = machine()
    _ = machine.begin(isolationGroup: nil)
    _ = machine.prepared(.ready(.sample), at: start)
    #expect(machine.admitted(.admitted, at: start + .milliseconds(501)) == .confirm)
    #expect(machine.confirmed(isWanted: true) == .call(.sample))
    var late = self.machine()
    _ = late.begin(isolationGroup: nil)
    _ = late.prepared(.ready(.sample), at: start)
    #expect(
      try outcome(late.admitted(.admitted, at: start + policy.callableTime))
        == .postponed("its lease would end while the worker is called", for: .short()))
  }

  // MARK: The worker's answers

  @Test("each answer of the worker that is no start has its outcome")
  func answers() throws {
    let expected: [(DispatchOutcome, AttemptOutcome)] = [
      (.unavailable(message: "m"), .postponed("the worker cannot be reached: m", for: .short())),
      (.throttled(retryAfter: nil, message: "m"), .postponed("the worker throttles: m", for: .short())),
      (
        .throttled(retryAfter: .seconds(8), message: "m"),
        .postponed("the worker throttles: m", for: .short(after: .seconds(8)))
      ),
      (.outage(message: "m"), .postponed("not an answer of the worker's own: m", for: .short())),
      (.again(message: "m"), .postponed("the worker asks for it again: m", for: .short())),
      (.refused(message: "m"), .failed(.workerRejected, "m")),
    ]
    for hasGivenUpCalls in [false, true] {
      for (answer, outcome) in expected {
        var machine = try calling()
        #expect(try self.outcome(machine.called(answer, hasGivenUpCalls: hasGivenUpCalls)) == outcome)
      }
    }
  }

  @Test("a start is dispatched, and a later state than queued counts as a callback")
  func started() throws {
    for (status, report) in [
      (RunState.queued, nil), (.other("new"), nil), (.running, ReviewStatus.running),
      (.buffering, .running),
    ] as [(RunState, ReviewStatus?)] {
      var machine = try calling()
      let response = StartResponse(reviewId: machine.attempt.lease.reviewID, status: status)
      #expect(
        try outcome(machine.called(.dispatched(response), hasGivenUpCalls: false))
          == .dispatched(
            agentVersion: "v1", report: report.map { RunReport(status: $0, attempt: 1) }, prepared: start))
    }
  }

  @Test(
    "a start that is answered with an end is asked about, and the end's details are taken if they are this attempt's")
  func ended() throws {
    for end in [RunState.completed, .failed, .cancelled] {
      for known in [nil, (RunState.running, 1), (end, 2), (end, 1)] as [(RunState, Int)?] {
        var machine = try calling()
        let response = StartResponse(reviewId: machine.attempt.lease.reviewID, status: end, agentVersion: "v2")
        #expect(machine.called(.dispatched(response), hasGivenUpCalls: false) == .askForEnd)
        var run = known.map { machine.attempt.run($0.0, attempt: $0.1) }
        run?.sessionId = "s"
        let isTaken = known.map { $0 == (end, 1) } ?? false
        #expect(
          try outcome(machine.askedForEnd(run))
            == .dispatched(
              agentVersion: "v2",
              report: RunReport(status: end.reviewStatus, attempt: 1, sessionId: isTaken ? "s" : nil), prepared: start))
      }
    }
  }

  @Test("an ambiguous answer is asked about; each evidence has its outcome, and counts only if the worker has answered")
  func ambiguous() throws {
    for isAnswer in [false, true] {
      var expected: [(WorkerEvidence, AttemptOutcome)] = []
      let sample = try calling()
      expected = [
        (.known(sample.attempt.run(.queued)), .dispatched(agentVersion: nil, report: nil, prepared: start)),
        (
          .known(sample.attempt.run(.running, attempt: 2)),
          .ambiguous("m; the worker has another attempt", isCounted: true)
        ),
        (.unknown(isProven: true), .ambiguous("m; the worker does not know the review", isCounted: true)),
        (
          .unknown(isProven: false),
          .ambiguous("m; the worker does not know the review, as far as it can be asked", isCounted: isAnswer)
        ),
        (.failed("f"), .ambiguous("m; asked about it, the worker failed too: f", isCounted: false)),
      ]
      for (evidence, outcome) in expected {
        var machine = sample
        #expect(
          machine.called(.ambiguous(message: "m", isAnswer: isAnswer), hasGivenUpCalls: false) == .ask)
        #expect(try self.outcome(machine.asked(evidence, isolationGroup: nil, at: start)) == outcome)
      }
      var drained = sample
      #expect(
        try outcome(drained.called(.ambiguous(message: "m", isAnswer: isAnswer), hasGivenUpCalls: true))
          == .ambiguous("handed back at shutdown while the worker was called", isCounted: false))
    }
  }

  // MARK: An earlier start that may have succeeded

  @Test("after an ambiguous start the worker is asked before anything else, and only what it does not have is started")
  func askFirst() throws {
    let sample = machine(ambiguousStarts: 2)
    func asked(_ evidence: WorkerEvidence) -> (AttemptMachine.Action, AttemptMachine) {
      var machine = sample
      #expect(machine.begin(isolationGroup: .init(max: 1, count: 1)) == .admit)
      #expect(machine.admitted(.admitted, at: start) == .ask)
      let action = machine.asked(evidence, isolationGroup: nil, at: start + .seconds(1))
      return (action, machine)
    }
    #expect(
      try outcome(asked(.known(sample.attempt.run(.completed))).0)
        == .dispatched(
          agentVersion: nil, report: RunReport(sample.attempt.run(.completed)), prepared: start + .seconds(1)))
    for evidence in [WorkerEvidence.unknown(isProven: true), .known(sample.attempt.run(.running, attempt: 2))] {
      #expect(asked(evidence).0 == .enter(group: nil))
    }
    #expect(asked(.unknown(isProven: false)).0 == .enter(group: nil))
    #expect(
      try outcome(asked(.failed("f")).0)
        == .ambiguous("an earlier start may have succeeded, and the worker could not be asked: f", isCounted: false))
  }

  @Test(
    "a start that has no answer may arrive after the worker was asked about it: its review keeps its owner's slot",
    arguments: [
      DispatchOutcome.throttled(retryAfter: nil, message: "m"), .unavailable(message: "m"), .outage(message: "m"),
      .again(message: "m"),
    ])
  func startMayArriveLate(_ answer: DispatchOutcome) throws {
    var machine = machine(ambiguousStarts: 1)
    #expect(machine.begin(isolationGroup: nil) == .admit)
    #expect(machine.admitted(.admitted, at: start) == .ask)
    #expect(machine.asked(.unknown(isProven: true), isolationGroup: nil, at: start) == .enter(group: nil))
    #expect(machine.prepared(.ready(.sample), at: start) == .admit)
    #expect(machine.admitted(.admitted, at: start) == .call(.sample))
    let outcome = try outcome(machine.called(answer, hasGivenUpCalls: false))
    guard case .leaveQueued(_, _, isCounted: false) = RowWrite(outcome, of: machine.attempt) else {
      Issue.record("\(answer) writes \(RowWrite(outcome, of: machine.attempt))")
      return
    }
  }

  @Test("while the worker is unavailable, a review with an ambiguous start stays queued, uncounted")
  func askFirstRefused() throws {
    var machine = machine(ambiguousStarts: 1)
    #expect(machine.begin(isolationGroup: nil) == .admit)
    #expect(
      try outcome(machine.admitted(.refused(reason: "out"), at: start))
        == .ambiguous("out", isCounted: false))
  }
}

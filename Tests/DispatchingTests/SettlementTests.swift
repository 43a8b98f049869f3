import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Telemetry
import Testing

@testable import Dispatching

/// Every outcome of an attempt, with and without an earlier ambiguous start, and every answer of the row.
@Suite("Settlements")
struct SettlementTests {
  static let outcomes: [AttemptOutcome] = [
    .dispatched(agentVersion: nil, report: nil, prepared: .now), .supersededByRow, .postponed("r", for: .short()),
    .retry("r"), .ambiguous("r", isCounted: true), .ambiguous("r", isCounted: false), .unreadable("r"),
    .failed(.workerRejected, "r"),
  ]
  static let verdicts: [RowVerdict] =
    [.recorded, .overtaken, .notWritten]
    + [.pending, .queued, .running, .completed, .failed, .cancelled].map { .written($0) }

  private func settlement(_ outcome: AttemptOutcome, _ verdict: RowVerdict, ambiguousStarts: Int = 0) -> Settlement {
    let attempt = Attempt.sample(ambiguousStarts: ambiguousStarts)
    return Settlement(outcome, RowWrite(outcome, of: attempt), verdict)
  }

  @Test("a delivery is acknowledged only if the worker has the review, and then always", arguments: verdicts)
  func acknowledged(_ verdict: RowVerdict) {
    for outcome in Self.outcomes {
      for ambiguousStarts in [0, 1] {
        let settlement = settlement(outcome, verdict, ambiguousStarts: ambiguousStarts)
        let isDispatched = if case .dispatched = outcome { true } else { false }
        #expect((settlement.settlement == .acknowledge) == isDispatched, "\(outcome) \(verdict)")
        #expect((settlement.counted == .dispatched) == isDispatched, "\(outcome) \(verdict)")
      }
    }
  }

  @Test("what could not be written goes back to the queue; what the row's holder decides is rejected")
  func notWritten() {
    for outcome in Self.outcomes.dropFirst(2) {
      let lost = settlement(outcome, .notWritten)
      #expect(lost.settlement == .requeue && lost.counted == .returned)
      let overtaken = settlement(outcome, .overtaken)
      #expect(overtaken.settlement == .reject && overtaken.counted == .duplicate)
    }
    for verdict in Self.verdicts {
      let superseded = settlement(.supersededByRow, verdict)
      #expect(superseded.settlement == .reject && superseded.counted == .duplicate)
    }
  }

  @Test("what was written is rejected and counted by what was written; one failure too many is counted as failed")
  func written() {
    let counted: [(AttemptOutcome, ReviewStatus, BatonMetrics.TicketOutcome)] = [
      (.postponed("r", for: .short()), .pending, .returned), (.retry("r"), .pending, .retry),
      (.ambiguous("r", isCounted: true), .queued, .ambiguous), (.ambiguous("r", isCounted: false), .queued, .ambiguous),
      (.unreadable("r"), .pending, .returned), (.unreadable("r"), .queued, .returned),
      (.failed(.configMissing, "r"), .failed, .failed),
    ]
    for (outcome, status, metric) in counted {
      let written = settlement(outcome, .written(status))
      #expect(written.settlement == .reject && written.counted == metric, "\(outcome)")
      let exhausted = settlement(outcome, .written(.failed))
      #expect(exhausted.settlement == .reject && exhausted.counted == .failed, "\(outcome)")
    }
    #expect(settlement(.retry("r"), .written(.failed)).message == "review failed as attempts_exhausted: r")
    #expect(settlement(.failed(.configMissing, "r"), .written(.failed)).message == "review failed as config_missing: r")
  }

  @Test("after an ambiguous start nothing goes back to pending: the worker may be running it")
  func ambiguousStartStaysQueued() {
    for outcome in Self.outcomes {
      let write = RowWrite(outcome, of: .sample(failures: 2, ambiguousStarts: 1))
      switch (outcome, write) {
      case (.postponed, .leaveQueued(_, .short(after: .zero), isCounted: false)),
        (.retry, .leaveQueued(_, .backoff(attempt: 2), isCounted: true)), (.ambiguous, .leaveQueued),
        (.unreadable, .leaveQueued(_, .exactly(.seconds(30)), isCounted: false)), (.dispatched, .record),
        (.supersededByRow, .none), (.failed, .fail):
        break
      default: Issue.record("\(outcome) writes \(write)")
      }
    }
  }

  @Test("the waits of ambiguous starts grow by the failures if they count, and stay short if not")
  func ambiguousWaits() {
    func delay(_ isCounted: Bool, failures: Int, starts: Int) -> RetryDelay? {
      let write = RowWrite(
        .ambiguous("r", isCounted: isCounted), of: .sample(failures: failures, ambiguousStarts: starts))
      guard case .leaveQueued(_, let delay, isCounted) = write else { return nil }
      return delay
    }
    #expect(delay(true, failures: 5, starts: 9) == .delayedBackoff(attempt: 5))
    #expect(delay(false, failures: 5, starts: 0) == .short())
    #expect(delay(false, failures: 5, starts: 9) == .short())
  }

  @Test("delays lie within their bounds, whatever chance says")
  func delays() {
    let policy = DispatchPolicy()
    let environment = DispatchEnvironment()
    for _ in 0..<200 {
      let short = policy.duration(.short(after: .seconds(3)), environment)
      #expect(short >= .seconds(4) && short <= .seconds(6))
      #expect(policy.duration(.exactly(.seconds(5)), environment) == .seconds(5))
      #expect(policy.duration(.backoff(attempt: 2), environment) <= .seconds(8))
      let delayed = policy.duration(.delayedBackoff(attempt: 1), environment)
      #expect(delayed >= .seconds(1) && delayed <= .seconds(5))
    }
  }
}

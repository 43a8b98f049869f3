import Primitives
import ReviewStore
import Support
import Testing

@testable import Dispatching

@Suite("Heartbeats of a holder", .timeLimit(.minutes(2)))
struct HolderHeartbeatTests {
  @Test("a holder that works on a review says twice a second that it lives, another once a second")
  func paces() async throws {
    let stage = try await Stage()
    let report = Mutexed(Holder.Report())
    let beats = Mutexed(0)
    let session = HolderSession(
      holder: Holder(role: "consume", host: "here", processID: 4),
      state: .following(stage.clock, timeout: .seconds(15)),
      ledger: stage.ledger, interval: stage.policy.heartbeatInterval,
      idleInterval: stage.policy.idleHeartbeatInterval,
      report: {
        beats.change { $0 += 1 }
        return report.value
      }, environment: stage.environment, logger: stage.log.logger)
    try await stage.running(session) { _ in
      let stages = [
        (Holder.Report(), 9...11), (Holder.Report(inFlight: 1), 19...21), (Holder.Report(unleasedTickets: 1), 19...21),
        (Holder.Report(), 9...11),
      ]
      for (next, expected) in stages {
        report.change { $0 = next }
        // The wait that began with the report before is over then.
        try await stage.advance(by: .seconds(2))
        beats.change { $0 = 0 }
        try await stage.advance(by: .seconds(10))
        #expect(expected.contains(beats.value), "\(next): \(beats.value)")
      }
    }
  }
}

import ReviewStore
import Reviews
import Support
import Synchronization
import Testing

extension Story {
  static let sessions: [Story] = [
    Story("a holder with an open session is not missed, however long it says nothing; without it, it is") { play in
      let session = RunningSession(play)
      try await session.isSignedOn(times: 1)
      _ = try await play.submit()
      let claim = try await play.claim()[0]
      _ = try await play.take(claim, by: session.holder)
      try await play.ledger.lookAtHolders()
      try await play.pass(.seconds(3))
      try await play.ledger.lookAtHolders()
      #expect(try await play.lease([claim], by: play.other) == [.leasedElsewhere])
      await session.end()
      try await eventually("it is dead") {
        try await play.ledger.lookAtHolders()
        try await play.pass(.seconds(3))
        return try await play.lease([claim], by: play.other)[0].word == "leased"
      }
    },
    Story("a session hears of reviews that come due, of slots that become free, and of cancels") { play in
      let session = RunningSession(play)
      try await session.isSignedOn(times: 1)
      _ = try await play.submit(count: 2)
      try await session.hears(.reviewsDue)
      let claim = try await play.claim(ownerLimit: 1)[0]
      session.forget()
      _ = try await play.ledger.cancel(claim.reviewID)
      try await session.hears(.reviewsDue)
      try await session.hears(.cancelsDue)
      session.forget()
      #expect(try await play.ledger.setPaused(true, Play.acme))
      try await session.hears(.reviewsDue)
      await session.end()
    },
    Story("a session that is replaced is back, with the holder signed on again") { play in
      let session = RunningSession(play)
      try await session.isSignedOn(times: 1)
      session.session.replace()
      try await session.isSignedOn(times: 2)
      #expect(try await session.session.heartbeat(Holder.Report()).isKnown)
      await session.end()
      #expect(!session.session.isOpen)
    },
    Story("a holder that the ledger has forgotten signs on again on its session") { play in
      let session = RunningSession(play)
      try await session.isSignedOn(times: 1)
      try await play.ledger.leave(session.holder.id)
      #expect(try await !session.session.heartbeat(Holder.Report()).isKnown)
      try await session.session.signOn()
      #expect(try await session.session.heartbeat(Holder.Report()).isKnown)
      await session.end()
    },
    Story("without an open session nothing can be said on it") { play in
      let session = play.ledger.session(of: play.consumer, hearing: [.reviewsDue, .cancelsDue]) { _ in }
      #expect(!session.isOpen)
      do {
        _ = try await session.heartbeat(Holder.Report())
        Issue.record("it was said")
      } catch {
        #expect(LedgerFaultKind(of: error) == .unreachable)
      }
    },
  ]
}

/// A session that runs, and what it has heard.
private final class RunningSession: Sendable {
  let holder = Holder(role: "consume", host: "test", processID: 7)
  let session: any LedgerSession
  private let log: Log
  private let running: Task<Void, Never>
  private let hearing: Task<Void, Never>

  private final class Log: Sendable {
    let events = Mutex<[LedgerEvent]>([])
    let signOns = Mutex(0)
  }

  init(_ play: Play) {
    let log = Log()
    let session = play.ledger.session(of: holder, hearing: [.reviewsDue, .cancelsDue]) { _ in
      log.signOns.withLock { $0 += 1 }
    }
    running = Task { await session.run() }
    hearing = Task { for await event in session.events { log.events.withLock { $0.append(event) } } }
    self.log = log
    self.session = session
  }

  func isSignedOn(times count: Int) async throws {
    try await eventually("sign-on \(count)") { self.log.signOns.withLock { $0 } >= count && self.session.isOpen }
  }

  func hears(_ event: LedgerEvent) async throws {
    try await eventually("\(event)") { self.log.events.withLock { $0.contains(event) } }
  }

  func forget() { log.events.withLock { $0 = [] } }

  func end() async {
    running.cancel()
    await running.value
    await hearing.value
  }
}

/// What goes wrong, when and for how long.
package struct InjectedFault: Sendable, Hashable {
  /// Since the start.
  package var time: Duration
  package var kind: Kind
  /// How long it lasts; zero if it is over at once.
  package var duration: Duration

  /// A process, by its place among the scenario's processes: whichever process runs there then.
  package typealias Place = Int

  /// What happens.
  package enum Kind: Sendable, Hashable {
    /// Ends a process before the job that follows so many others of it; another one starts there after the fault's duration.
    case kill(Place, afterJobs: Int)
    /// Asks a process to end; another one starts there once it has.
    case stop(Place)
    /// Stops a process; it goes on where it was after the fault's duration.
    case pause(Place)
    /// A host is gone without a word: its process stops for good, and its connections stay until the other ends notice. Another one starts
    /// there after the fault's duration.
    case vanish(Place)
    /// Nothing gets through between a process and what it talks to, in one direction or both.
    case cut(Place, Link, Direction)
    /// No callback of the worker arrives.
    case callbacksLost
    /// The worker's callbacks arrive, and it gets no answer: it repeats them.
    case callbackAnswersLost
    case ledgerAway
    /// The ledger refuses what it is asked, and can do it later.
    case ledgerBusy
    /// The ledger does not answer, and does in the end what it was asked.
    case ledgerStalled
    /// A transaction of a stranger has locked a review, by its number.
    case rowLocked(Int)
    case brokerAway
    case brokerBlocked
    /// The queue takes nothing.
    case publishesRefused
    /// The queue has lost its binding.
    case publishesReturned
    case confirmsLost
    case queuePurged
    case queueDeleted
    /// Channels are open, and deliver nothing.
    case deliveriesStalled
    case workerAway
    case workerSlow
    /// Something in front of the worker answers in its place.
    case workerHidden
    case workerThrottles
  }

  /// What a process is connected to.
  package enum Link: String, Sendable, Hashable, CaseIterable { case ledger, broker, worker }

  /// What a link no longer carries.
  package enum Direction: String, Sendable, Hashable, CaseIterable {
    case requests, answers, both
  }

  /// Until when it can be felt.
  var end: Duration { time + duration }
}

extension InjectedFault: CustomStringConvertible {
  package var description: String {
    duration == .zero ? "\(kind)" : "\(kind) for \(duration.text)"
  }
}

extension Duration {
  /// In seconds, with milliseconds.
  var text: String {
    let milliseconds = Int(self / .milliseconds(1))
    let fraction = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)s"
  }
}

#if DEBUG
  internal import Glibc
#endif

/// A step of a review's path, or of a change of durable state, behind which a test lets the process end as by `kill -9`.
///
/// `BATON_TEST_CRASH_POINT` names one. Only a debug build reads it: in a release build ``reached()`` has no body, and the variable is unknown.
/// A compiler condition, and not a trait of the package, so that the tests' ordinary build has the steps and no other build needs a flag.
package enum CrashPoint: String, CaseIterable, Sendable {
  /// A producer has claimed, and published nothing of it.
  case claimed
  /// The broker has confirmed, and the row does not know. To the others this is the same as a crash between the write and the confirm.
  case confirmed
  /// A consumer has the lease.
  case leased
  /// The payload is ready.
  case prepared
  /// `POST /review` has been written, and its answer is not read.
  case posted
  /// The worker has said yes, and the row does not know.
  case answered
  /// The row knows, and the delivery is not acknowledged.
  case recorded
  /// A reaper has taken abandoned reviews, and published nothing of them.
  case reaped
  /// A step of the schema is committed.
  case migrated
  /// GitLab has given a new token for an old one, and it is not stored.
  case rotated

  /// Ends the process if this is the chosen point.
  package func reached() {
    #if DEBUG
      if self == Self.chosen { kill(getpid(), SIGKILL) }
    #endif
  }

  #if DEBUG
    private static let chosen = getenv("BATON_TEST_CRASH_POINT").flatMap { CrashPoint(rawValue: String(cString: $0)) }
  #endif
}

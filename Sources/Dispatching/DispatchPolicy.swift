package import Resilience
package import ReviewStore

/// The times and bounds of dispatching, as the settings give them.
package struct DispatchPolicy: Sendable {
  /// BATON_QUEUE
  package var queue = "baton.reviews"
  /// BATON_MAX_QUEUE_DEPTH: the producer stops claiming while this many messages are ready.
  package var queueDepthMax = 1_000
  /// BATON_OWNER_LIMIT: reviews of an owner that are queued or running at once.
  package var ownerLimit = 20
  /// BATON_POLL_INTERVAL: how often to look without a notification.
  package var pollInterval: Duration = .seconds(5)
  /// BATON_PREFETCH: reviews that one consumer holds at once.
  package var prefetch = 256
  /// BATON_LEASE: a holder without a heartbeat for this time is dead.
  package var heartbeatTimeout: Duration = .seconds(15)
  /// BATON_PREPARE_TIMEOUT: the longest that a lease lasts.
  package var leaseDuration: Duration = .seconds(60)
  /// BATON_PUBLISH_GRACE: a claim whose publish was never confirmed is abandoned after this.
  package var publishGrace: Duration = .seconds(15)
  /// BATON_STALE_AFTER
  package var staleAfter: Duration = .seconds(300)
  /// BATON_RUNNING_TIMEOUT
  package var runningTimeout: Duration = .seconds(1_800)
  /// BATON_MAX_ATTEMPTS
  package var failureMax = 8
  /// BATON_RETRY_BASE, BATON_RETRY_MAX
  package var retry = Backoff(base: .seconds(2), max: .seconds(300))
  /// BATON_WORKER_TIMEOUT
  package var workerTimeout: Duration = .seconds(10)
  /// BATON_DRAIN_TIMEOUT
  package var drainTimeout: Duration = .seconds(30)

  /// For how long a delivery is held, each time that it waits for Postgres, or for another's lease or lock. RabbitMQ closes the channel of a
  /// delivery that is unacknowledged for 30 minutes, and a delivery may wait for its lease, for a look at it, and for its record.
  static let holdMax: Duration = .seconds(600)

  /// The waits between two tries of a statement that Postgres does not carry out. A review waits for each of them (I6).
  static let statementRetry = Backoff(base: .milliseconds(100), max: .seconds(1))

  package init() {}

  /// By which the reaper judges what is abandoned or silent.
  package var reapTimes: ReapTimes {
    ReapTimes(
      heartbeatTimeout: heartbeatTimeout, publishGrace: publishGrace, staleAfter: staleAfter,
      runningTimeout: runningTimeout)
  }

  /// How often the reaper looks for silent reviews: a look reads every queued row, and what it looks for is minutes old.
  package var silentInterval: Duration { min(staleAfter, runningTimeout) / 20 }

  /// How often a holder says that it lives. Several times in the two seconds for which a look has to have missed a holder before it
  /// counts as dead.
  package var heartbeatInterval: Duration { min(.milliseconds(500), heartbeatTimeout / 4) }

  /// The same for a holder that works on no review: no lease of its own rests on its last heartbeat, and its lock and its sessions
  /// show its death. Not for a process with a reaper: by its heartbeats a silence of the database is told from one of the holders.
  package var idleHeartbeatInterval: Duration { min(.seconds(1), heartbeatTimeout / 4) }

  /// How long a preparation may take, so that the call to the worker, a question about it and the record still fit into the lease.
  package var preparationMax: Duration {
    max(leaseDuration - workerTimeout * 2 - .seconds(2), (leaseDuration - workerTimeout) / 2)
  }

  /// For how long after a lease was taken its worker may be called: the answer is here, and recorded, before the lease ends.
  package var callableTime: Duration {
    let spare = leaseDuration - workerTimeout
    return spare - min(.seconds(1), spare / 4)
  }
}

package import Dispatching
internal import Resilience
package import Settings

extension DispatchPolicy {
  package init(_ settings: Settings) {
    self.init()
    queue = settings.queue
    queueDepthMax = settings.maxQueueDepth
    ownerLimit = settings.ownerLimit
    pollInterval = settings.pollInterval
    prefetch = settings.prefetch
    heartbeatTimeout = settings.heartbeatTimeout
    leaseDuration = settings.leaseDuration
    publishGrace = settings.publishGrace
    staleAfter = settings.staleAfter
    runningTimeout = settings.runningTimeout
    failureMax = settings.maxAttempts
    retry = Backoff(base: settings.retryBase, max: settings.retryMax)
    workerTimeout = settings.workerTimeout
    drainTimeout = settings.drainTimeout
  }
}

extension DispatchPolicy {
  /// A preparation with less time than this is often ended before a platform has answered.
  private static let preparationMin: Duration = .seconds(5)

  /// Says that the settings leave little time for preparing; nil if they leave enough.
  var preparationWarning: String? {
    guard preparationMax < Self.preparationMin else { return nil }
    return
      "BATON_PREPARE_TIMEOUT (\(leaseDuration)) and BATON_WORKER_TIMEOUT (\(workerTimeout)) leave \(preparationMax) to prepare a review: "
      + "more is needed if GitHub or GitLab is slow, and what takes longer uses up an attempt. Set the first to twice the second and 7 s at least."
  }
}

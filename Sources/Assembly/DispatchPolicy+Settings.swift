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
    holderTimeout = settings.lease
    leaseDuration = settings.prepareTimeout
    publishGrace = settings.publishGrace
    staleAfter = settings.staleAfter
    runningTimeout = settings.runningTimeout
    attemptMax = settings.maxAttempts
    retry = Backoff(base: settings.retryBase, max: settings.retryMax)
    workerTimeout = settings.workerTimeout
    drainTimeout = settings.drainTimeout
  }
}

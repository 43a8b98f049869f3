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

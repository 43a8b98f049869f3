package import WorkerAPI

/// What the answer of `POST /review` means to Baton.
package enum DispatchOutcome: Sendable, Equatable {
  /// The worker has the attempt, now or since an earlier start.
  case dispatched(StartResponse)
  /// Provably never sent: no connection was made in time, or it was lost before any byte of the body left.
  case unavailable(message: String)
  /// 429, or 503 with a `Retry-After`: the worker did not take it, and says so.
  case throttled(retryAfter: Duration?, message: String)
  /// The worker may have it: a timeout after sending, a lost connection, 5xx, or a 2xx that is not the contract's JSON.
  /// - Parameter isAnswer: whether the worker has answered this request, though not with a yes or a no.
  case ambiguous(message: String, isAnswer: Bool = false)
  /// Another 4xx, with the worker's own words: the same body will be refused again.
  case refused(message: String)
}

/// What `GET /reviews/{id}` has answered.
package enum StatusAnswer: Sendable, Equatable {
  case known(RunStatus)
  /// 404: evidence only once this worker has answered 200 there.
  case unknown
  /// 405, or another 4xx that says that there is no such route.
  case unsupported
  /// No answer, 5xx, a 200 that is not the contract's JSON, or a 4xx that says nothing about the route (401, 403, 408, 425, 429).
  case failed(message: String)
}

/// What `POST /reviews/{id}/cancel` has answered.
package enum CancelAnswer: Sendable, Equatable {
  /// - Parameter success: false where there was nothing left to cancel.
  case done(success: Bool)
  /// 404: the worker does not know the review.
  case unknown
  case failed(message: String)
}

/// Why events could not be had.
package struct WorkerClientError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String
}

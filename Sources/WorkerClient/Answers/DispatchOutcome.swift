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
  /// 400, 409, 413 or 422 with the contract's `{"error"}`, the worker's own words: the same body will be refused again.
  case refused(message: String)
  /// 408, 421 or 425: the worker did not take it, and asks to be sent it again.
  case again(message: String)
  /// An answer that is not the worker's verdict on the review: 401 and 403, any other 4xx, a redirect, and a refusal without the
  /// contract's `{"error"}`. A wrong token, or something in front of the worker, gives this answer for every review.
  case outage(message: String)
}

/// What `GET /reviews/{id}` has answered.
package enum StatusAnswer: Sendable, Equatable {
  indirect case known(RunStatus)
  /// 404 with the contract's `{"error"}`: evidence only once this worker has answered 200 there.
  case unknown
  /// A 404 without the contract's `{"error"}`, 405, or another 4xx of something that has no such route. Of a worker that has once
  /// answered 200 there it is a failure: something else has answered in its place.
  case unsupported(message: String)
  /// No answer, 5xx, a redirect, a 200 that is not the contract's JSON, or a 4xx that says nothing about the route (401, 403, 407,
  /// 408, 421, 425, 429).
  case failed(message: String)

  /// What it means, by whether the worker has ever answered 200 to this question.
  package func judged(hasAnswered: Bool) -> StatusAnswer {
    if hasAnswered, case .unsupported(let message) = self { return .failed(message: message) }
    return self
  }
}

/// What `POST /reviews/{id}/cancel` has answered.
package enum CancelAnswer: Sendable, Equatable {
  /// - Parameter success: false if there was nothing left to cancel.
  case done(success: Bool)
  /// 404 with the contract's `{"error"}`: the worker does not know the review.
  case unknown
  /// Anything else, also a 404 without it: something in front of the worker may have said so.
  case failed(message: String)
}

/// Why events could not be read.
package struct WorkerClientError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String
}

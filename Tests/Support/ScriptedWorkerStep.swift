package import FoundationEssentials
package import WorkerAPI

/// What a ``ScriptedWorker`` does with one `POST /review`.
package enum ScriptedStep: Sendable {
  /// Starts the run and answers 202.
  case accept
  /// Starts the run, and answers 202 after a while.
  case slow(Duration)
  /// Reads the request and never answers.
  /// - Parameter starting: whether the run starts anyway.
  case hangs(starting: Bool)
  /// Reads the request, then closes the connection.
  /// - Parameter starting: whether the run starts anyway.
  case cutsAfterReading(starting: Bool)
  /// Closes the connection without reading: at accept, or at the head if the connection was there already.
  case cutBeforeReading
  /// Answers with a status and an error body.
  /// - Parameters:
  ///   - retryAfter: the value of `Retry-After`.
  ///   - error: the text in `{"error": …}`.
  ///   - starting: whether the run starts anyway.
  case status(Int, retryAfter: String? = nil, error: String = "scripted", starting: Bool = false)
  /// Answers 200 with a body that is no JSON.
  /// - Parameter starting: whether the run starts anyway.
  case answersGarbage(starting: Bool)
  /// Starts the run, and answers 202 with the id of another review.
  case acceptAsAnother
  /// Answers with bytes that are no HTTP.
  case noHTTP
  /// Answers 202, sends half of the body, and closes.
  case cutsInBody
  /// Answers 202 with half of the body, then stalls.
  case stallsInBody

  /// Reads the request, starts the run and never answers.
  package static let hang = ScriptedStep.hangs(starting: true)
  /// Reads the request, starts the run and closes the connection.
  package static let cutAfterReading = ScriptedStep.cutsAfterReading(starting: true)
  /// Starts the run, and answers 200 with a body that is no JSON.
  package static let garbage = ScriptedStep.answersGarbage(starting: true)

  var starts: Bool {
    switch self {
    case .accept, .slow, .acceptAsAnother, .cutsInBody, .stallsInBody: true
    case .hangs(let starting), .cutsAfterReading(let starting), .answersGarbage(let starting): starting
    case .status(_, _, _, let starting): starting
    case .cutBeforeReading, .noHTTP: false
    }
  }
}

/// Something in front of a ``ScriptedWorker`` that answers in its place: an ingress, a gateway, a log-in page.
package struct ScriptedFront: Sendable {
  package var status: Int
  package var body: String
  package var headers: [String: String]

  package init(_ status: Int, _ body: String, headers: [String: String] = [:]) {
    (self.status, self.body, self.headers) = (status, body, headers)
  }
}

/// One `POST /review` as a ``ScriptedWorker`` received it.
package struct ScriptedStart: Sendable {
  package var reviewID: UUID
  package var attempt: Int
  package var idempotencyKey: String?
  package var authorization: String?
  package var traceparent: String?
  package var request: StartRequest
  /// Whether this start began a run; false if the run was there already, or the step starts none.
  package var beganRun: Bool
}

/// One `POST /reviews/{id}/cancel` as a ``ScriptedWorker`` received it.
package struct ScriptedCancel: Sendable, Equatable {
  package var reviewID: UUID
  package var attempt: Int?
  package var reason: String?
}

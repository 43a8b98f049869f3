/// Why a payload could not be prepared, in the classes that decide what happens to the review.
package enum PreparationError: Error, Sendable, Equatable {
  /// The review fails; the message says what the operator can do.
  case permanent(ErrorCode, message: String)
  /// The review goes back to pending with backoff, and one attempt is counted; or, if the target has said when to come
  /// again (a rate limit), it waits until then, uncounted.
  case transient(message: String, retryAfter: Duration?)
  /// The target is down: its circuit opens, reviews that need it go back to pending, and no attempt is counted.
  case outage(target: String, message: String, retryAfter: Duration?)
  /// This process lacks the key that a stored token was sealed with: an outage of this process, which costs no review an attempt.
  case keyMissing(message: String)
}

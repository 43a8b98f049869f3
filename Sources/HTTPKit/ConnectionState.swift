/// What happens on a connection, and so whom it waits for.
struct ConnectionState: Sendable {
  enum Phase: Sendable, Equatable {
    /// For the rest of a head; a new connection waits for its first one.
    case head
    /// For the rest of a body, whether or not a handler reads it.
    case body
    /// For this server's answer.
    case answer
    /// For the next request.
    case idle
    /// For the client to take what was written.
    case write
    /// For the rest of a body after the answer, before the connection is closed.
    case drain
  }

  private var hasPartialHead = true
  /// Requests whose answer has not ended.
  private(set) var unansweredCount = 0
  /// Whether a body is arriving.
  private(set) var isReading = false
  /// Whether the connection ends with the present answer.
  private(set) var isClosing = false
  var isBlocked = false

  var phase: Phase {
    if isBlocked { return .write }
    if unansweredCount == 0 { return isClosing ? .drain : hasPartialHead ? .head : .idle }
    return isReading ? .body : .answer
  }

  /// Bytes have come. Between requests they are the beginning of the next head.
  mutating func bytesArrived() {
    if unansweredCount == 0, !isReading { hasPartialHead = true }
  }

  /// - Parameter isLast: whether the client, or its version of the protocol, wants no further request on this connection.
  mutating func headArrived(isLast: Bool) {
    hasPartialHead = false
    unansweredCount += 1
    isReading = true
    if isLast { isClosing = true }
  }

  mutating func bodyEnded() { isReading = false }

  /// - Returns: whether the answer has to say that the connection ends with it: also if it comes before the whole body, as there is no
  ///   other way to be rid of the rest.
  mutating func answerBegan(isLast: Bool) -> Bool {
    if isLast || isReading { isClosing = true }
    return isClosing
  }

  mutating func answerEnded() { unansweredCount = max(0, unansweredCount - 1) }
}

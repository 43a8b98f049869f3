/// Decides which failures of one thing are worth a line in the log: each reason once, until the thing has worked for a while.
///
/// Repeated failures mostly have the same reason, and one line is enough. But the reason can change: first a connection is
/// closed, then the new password is refused. So what counts is the text, not the state: a new text is a line of its own.
///
///     if notice.failed("\(error)") { logger.warning("publishing is interrupted", …) }
///     if notice.worked() { logger.notice("publishing again") }
public struct FaultNotice: Sendable {
  /// A moment of the clock that runs while the machine sleeps.
  public typealias Instant = ContinuousClock.Instant

  /// At most this many different texts are logged until it works again: a text with a number that changes each time must not fill the log.
  public static let textMax = 16

  private let settling: Duration
  private var texts: Set<String> = []
  private var worksSince: Instant?
  /// Whether a failure was logged and its end was not.
  public private(set) var isOpen = false

  /// - Parameter settling: how long it has to work before a reason is logged once more.
  public init(settling: Duration = .seconds(60)) { self.settling = settling }

  /// It failed.
  /// - Parameters:
  ///   - text: the reason, without what changes from failure to failure.
  ///   - now: the clock's time.
  /// - Returns: whether to log it.
  public mutating func failed(_ text: String, at now: Instant = .now) -> Bool {
    if let worksSince, now - worksSince >= settling { texts = [] }
    worksSince = nil
    guard texts.count < Self.textMax, texts.insert(text).inserted else { return false }
    isOpen = true
    return true
  }

  /// It works.
  /// - Returns: whether this ends a failure that was logged: then log that it is over.
  public mutating func worked(at now: Instant = .now) -> Bool {
    if worksSince == nil { worksSince = now }
    defer { isOpen = false }
    return isOpen
  }
}

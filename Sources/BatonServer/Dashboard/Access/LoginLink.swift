internal import Crypto
internal import Primitives
internal import Synchronization
internal import WorkerAPI

/// The code in the log-in link of a server that has made its token itself.
///
/// The link does not carry the token: a link stays in a terminal, a log and a browser's history. Its code opens one session, within an
/// hour. When it has been used, or comes too late, a new link is shown at the same place.
package final class LoginLink: Sendable {
  private struct Current {
    var code = ""
    var end = ContinuousClock.now
  }

  private let current = Mutex(Current())
  private let lifetime: Duration
  private let show: @Sendable (_ path: String) -> Void

  /// How long a link may wait for its use.
  package static let lifetime = Duration.seconds(3_600)

  /// - Parameters:
  ///   - lifetime: how long a link opens a session.
  ///   - show: puts a link before who started the server; gets the part behind the address, `/login#code=…`. What stands
  ///     behind the number sign is not sent to any server or proxy.
  package init(lifetime: Duration = LoginLink.lifetime, show: @escaping @Sendable (_ path: String) -> Void) {
    self.lifetime = lifetime
    self.show = show
  }

  /// Makes a new link and shows it; the one before is worth nothing from now on.
  package func issue() {
    let code = SymmetricKey(size: .bits256).withUnsafeBytes { $0.hexadecimal }
    current.withLock { $0 = Current(code: code, end: .now + lifetime) }
    show("/login#code=\(code)")
  }

  /// Whether a text is the code of the newest link, in time; that code is used up then.
  func redeem(_ sent: String) -> Bool {
    let known = current.withLock { current -> (isInTime: Bool, isKnown: Bool) in
      guard !current.code.isEmpty, ConstantTime.equal(sent, current.code) else { return (false, false) }
      current.code = ""
      return (current.end > .now, true)
    }
    if known.isKnown { issue() }
    return known.isInTime
  }
}

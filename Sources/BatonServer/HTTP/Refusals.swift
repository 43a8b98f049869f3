internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Synchronization

/// Counts the requests that were refused for what they showed of themselves, by where they came from: so that guessing is seen in the log,
/// and slowed.
///
/// The log has one warning for an address and minute, and what was refused after it with the next one, or when the minute is over. After ten
/// refusals within a minute an address has its log-ins refused without a look at them, until the minute is over. Bearer tokens are looked at
/// anyway: applications behind one proxy share an address with those who guess, and sixteen bytes cannot be guessed.
final class Refusals: Sendable {
  enum Kind: String, Sendable { case login = "log-in", bearer = "bearer token", webhook, callback }

  /// Where a request comes from. Behind a trusted proxy (`BATON_TRUSTED_PROXIES`) that is the client that the proxy names. If no proxy is
  /// set, any sender can name any client: then both count, the peer with a higher limit.
  struct Source: Hashable, Sendable {
    let peer: String
    /// The last address of `X-Forwarded-For`, which the nearest proxy has written.
    let forwarded: String?

    init(peer: SocketAddress?, headers: HTTPFields, proxies: TrustedProxies) {
      guard proxies.ranges.isEmpty else {
        let client = proxies.client(headers, peer).flatMap { try? SocketAddress(ipAddress: $0, port: 0) }
        self.peer = PeerAddress(client ?? peer).description
        forwarded = nil
        return
      }
      self.peer = PeerAddress(peer).description
      let last = headers[values: .xForwardedFor].last?.split(separator: ",").last?.drop { $0 == " " }
      forwarded = last.map { text in
        String(text.unicodeScalars.prefix(45).map { (0x21...0x7E).contains($0.value) ? Character($0) : "?" })
      }
    }
  }

  private struct Key: Hashable {
    let peer: String
    /// nil for all that a peer has passed on.
    let forwarded: String?
    let isDirect: Bool
  }

  private struct Entry {
    let start: ContinuousClock.Instant
    var count = 0
    var unreported = 0
  }

  /// A line for the log.
  private struct Report {
    let key: Key
    let count: Int
    var isLater = false
  }

  private let proxies: TrustedProxies
  private let logger: Logger
  private let entries = Mutex<[Key: Entry]>([:])

  private static let window: Duration = .seconds(60)
  /// Refusals within the window.
  static let refusalMax = 10
  /// Of all the addresses together that one peer passes on.
  static let peerRefusalMax = 100
  /// Addresses that are remembered.
  static let sourceCountMax = 1_024

  /// - Parameter proxies: `BATON_TRUSTED_PROXIES`.
  init(proxies: TrustedProxies = TrustedProxies(), logger: Logger) {
    self.proxies = proxies
    self.logger = logger
  }

  private static func keys(of source: Source) -> [Key] {
    guard source.forwarded != nil else { return [Key(peer: source.peer, forwarded: nil, isDirect: true)] }
    return [
      Key(peer: source.peer, forwarded: source.forwarded, isDirect: false),
      Key(peer: source.peer, forwarded: nil, isDirect: false),
    ]
  }

  private static func refusalMax(with key: Key) -> Int {
    key.forwarded == nil && !key.isDirect ? peerRefusalMax : refusalMax
  }

  /// After how many seconds a source may try again; nil while it may now.
  func wait(of source: Source, now: ContinuousClock.Instant = .now) -> Int? {
    entries.withLock { entries in
      Self.keys(of: source).compactMap { key -> Int? in
        guard let entry = entries[key], entry.count >= Self.refusalMax(with: key) else { return nil }
        let rest = entry.start + Self.window - now
        return rest > .zero ? max(1, Int(rest.components.seconds) + 1) : nil
      }.max()
    }
  }

  /// Counts a refusal, and logs it if it is the first of its minute.
  func note(_ kind: Kind, from source: Source, now: ContinuousClock.Instant = .now) {
    let reports = entries.withLock { entries in
      var reports = Self.takeOld(&entries, now: now)
      for (index, key) in Self.keys(of: source).enumerated() {
        if entries[key] == nil {
          if entries.count >= Self.sourceCountMax { reports += Self.takeOldest(&entries) }
          entries[key] = Entry(start: now)
          if index == 0 { reports.append(Report(key: key, count: 1)) }
        } else if index == 0 {
          entries[key]?.unreported += 1
        }
        entries[key]?.count += 1
      }
      return reports
    }
    for report in reports { log(report, kind) }
  }

  /// Ends the minutes that are over.
  private static func takeOld(_ entries: inout [Key: Entry], now: ContinuousClock.Instant) -> [Report] {
    let old = entries.filter { $0.value.start + window <= now }
    for key in old.keys { entries[key] = nil }
    return old.compactMap { later($0.key, $0.value) }
  }

  private static func takeOldest(_ entries: inout [Key: Entry]) -> [Report] {
    guard let oldest = entries.min(by: { $0.value.start < $1.value.start }) else { return [] }
    entries[oldest.key] = nil
    return later(oldest.key, oldest.value).map { [$0] } ?? []
  }

  private static func later(_ key: Key, _ entry: Entry) -> Report? {
    entry.unreported > 0 ? Report(key: key, count: entry.unreported, isLater: true) : nil
  }

  private func log(_ report: Report, _ kind: Kind) {
    var metadata: Logger.Metadata = ["address": "\(report.key.peer)", "count": "\(report.count)"]
    if let forwarded = report.key.forwarded { metadata["forwarded_for"] = "\(forwarded)" }
    guard !report.isLater else {
      return logger.warning("more requests of an address were refused within a minute", metadata: metadata)
    }
    metadata["kind"] = "\(kind.rawValue)"
    logger.warning(
      "a request was refused: what it shows of its sender is missing or wrong; more of this address are counted for a minute",
      metadata: metadata)
  }
}

extension Refusals: RequestWatch {
  /// A log-in brings a token in its body, or in its address.
  func willHandle(_ call: Call, on path: RoutePath) throws(HTTPFault) {
    guard path == .login, call.request.method == .post || call.request.uri.query != nil else { return }
    if let wait = wait(of: source(of: call)) { throw .tooMany(seconds: wait) }
  }

  private func source(of call: Call) -> Source {
    Source(peer: call.peer, headers: call.request.headers, proxies: proxies)
  }

  func didAnswer(_ call: Call, on path: RoutePath, status: HTTPResponse.Status) -> HTTPFault? {
    guard let kind = Kind(refusing: path, call.request.headers, status: status) else { return nil }
    let source = source(of: call)
    let wait = kind == .bearer ? wait(of: source) : nil
    note(kind, from: source)
    return wait.map { .tooMany(seconds: $0) }
  }
}

extension HTTPFault {
  /// Too many wrong tokens from where this request comes from.
  static func tooMany(seconds: Int) -> HTTPFault {
    HTTPFault(
      .tooManyRequests, "too many refused log-ins from this address: try again in \(seconds) s",
      headers: [.retryAfter: String(seconds)])
  }
}

extension Refusals.Kind {
  /// What was refused, where the answer says that its sender is not known; nil for an answer that says something else.
  init?(refusing path: RoutePath, _ headers: HTTPFields, status: HTTPResponse.Status) {
    guard status == .unauthorized else { return nil }
    switch path {
    case .githubWebhook, .gitlabWebhook: self = .webhook
    case .callback: self = .callback
    case .login: self = .login
    default:
      // The page that asks for the token is no refusal of one.
      guard headers.contains(.authorization) else { return nil }
      self = .bearer
    }
  }
}

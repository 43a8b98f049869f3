internal import Synchronization

/// The servers that a connection string names, in the order in which they are tried.
///
/// libpq would try several hosts and addresses by itself, but without a time for each: its own time-out is only for calls that
/// block. One silent address would then hide all that follow. So each attempt of libpq is given exactly one address here.
struct ConnectPlan: Sendable {
  /// One host as the connection string has it.
  struct Host: Sendable, Hashable {
    var name = ""
    var address = ""
    var port = ""

    /// Whether there is a name to look up: it is neither a socket's folder, nor is the address given.
    var needsLookUp: Bool { address.isEmpty && !name.isEmpty && name.first != "/" && name.first != "@" }
  }

  /// One address of a host.
  struct Target: Sendable, Hashable {
    var host: Host
    /// Numeric; empty if libpq is to find it, for a local socket.
    var address: String

    /// For messages: `db1:5432`, with the address if it says more.
    var label: String {
      let port = host.port.isEmpty ? "5432" : host.port
      guard !host.name.isEmpty else { return address.isEmpty ? "local socket" : "\(address):\(port)" }
      return address.isEmpty || address == host.name ? "\(host.name):\(port)" : "\(host.name):\(port) (\(address))"
    }

    /// The parameters with this address in place of all hosts.
    func applied(
      to parameters: [(keyword: String, value: String)], sessions: String
    ) -> [(keyword: String, value: String)] {
      let own = [
        ("host", host.name), ("hostaddr", address), ("port", host.port), ("target_session_attrs", sessions),
      ].map { (keyword: $0, value: $1) }
      // libpq ignores empty values: those of the connection string have to go.
      return parameters.filter { given in !own.contains { $0.keyword == given.keyword } } + own
    }
  }

  /// In the string's order.
  let hosts: [Host]
  /// What `target_session_attrs` is in each round over all hosts.
  let rounds: [String]
  /// For TCP, of each address; then once more for TLS and log-in.
  let timeout: Duration
  /// How the server's certificate is verified.
  let tls: TLSPlan
  /// Whether the time was asked for by the connection string: then each address gets all of it.
  private let isTimeoutGiven: Bool

  /// - Parameter effective: the parameters as libpq completes them, see `completeParameters`.
  init(_ effective: [String: String], connectTimeout: Duration) {
    func list(_ keyword: String) -> [String] {
      effective[keyword].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
    }
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
    hosts = (0..<max(names.count, addresses.count, 1)).map { index in
      Host(
        name: names.dropFirst(index).first ?? "", address: addresses.dropFirst(index).first ?? "",
        port: ports.count == 1 ? ports[0] : ports.dropFirst(index).first ?? "")
    }
    let sessions = effective["target_session_attrs"] ?? "any"
    // libpq's own rule: first all hosts for a standby, then all for any server.
    rounds = sessions == "prefer-standby" ? ["standby", "any"] : [sessions]
    tls = TLSPlan(effective)
    let given = effective["connect_timeout"].flatMap { Int64($0.trimmed) }.flatMap { $0 > 0 ? $0 : nil }
    isTimeoutGiven = given != nil
    // Not below two seconds, as libpq has it: a slow start of the handshake is no silence.
    timeout = given.map { .seconds(max($0, 2)) } ?? connectTimeout
  }

  /// How long TCP may take to one of so many addresses: all together about as long as one alone, but at least a second each.
  func tcpTimeout(addressCount: Int) -> Duration {
    let count = max(addressCount, 1) * hosts.count
    return isTimeoutGiven || count == 1 ? timeout : max(timeout / count, min(timeout, .seconds(1)))
  }
}

/// Which server has accepted last: it comes first the next time, so that one that is silent costs its time only once.
final class PreferredTarget: Sendable {
  private let target = Mutex<ConnectPlan.Target?>(nil)

  func note(_ accepted: ConnectPlan.Target) { target.withLock { $0 = accepted } }

  /// The hosts with the one that accepted last in front.
  func ordered(_ hosts: [ConnectPlan.Host]) -> [ConnectPlan.Host] {
    let last = target.withLock { $0?.host }
    return hosts.filter { $0 == last } + hosts.filter { $0 != last }
  }

  /// The addresses of a host, of which each was looked up now, with the one that accepted last in front.
  func ordered(_ targets: [ConnectPlan.Target]) -> [ConnectPlan.Target] {
    let last = target.withLock { $0 }
    return targets.filter { $0 == last } + targets.filter { $0 != last }
  }
}

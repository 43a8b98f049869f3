internal import Certificates
internal import Glibc
package import Resilience

/// Where Postgres is, and how to talk to it.
public struct PostgresConfiguration: Sendable {
  /// When the kernel takes a silent peer for dead (libpq, 34.1.2): about 25 s after the last sign of life as set here.
  public struct Keepalives: Sendable, Hashable {
    /// Silence before the first probe.
    public var idle: Duration = .seconds(10)
    /// Time between probes.
    public var interval: Duration = .seconds(5)
    /// Probes without an answer after which the connection is lost.
    public var count = 3
    /// How long sent data may stay unacknowledged.
    public var userTimeout: Duration = .seconds(20)

    /// The defaults.
    public init() {}
  }

  /// The connection string, taken apart, or what is wrong with it.
  private let connectionString: Result<ConnectionString, ConnectionString.Fault>
  /// Which server accepted last; shared by all copies of this configuration.
  let preferred = PreferredTarget()
  /// What has been said once; shared by all copies of this configuration.
  let notices = Notices()
  /// Shown by `pg_stat_activity`.
  public let applicationName: String

  /// The most connections of a pool. Default: 4.
  public var poolSize = 4
  /// For the look-up of a host's name, for TCP to one address, and for TLS and log-in there; `connect_timeout` of the connection string
  /// wins. Several addresses share it for TCP, with at least a second each, so that one that is silent hides none. Default: 5 s.
  public var connectTimeout: Duration = .seconds(5)
  /// How long a call waits for a connection of the pool. Default: 5 s.
  public var acquireTimeout: Duration = .seconds(5)
  /// Whether a pool goes on trying to connect for those who wait, until `acquireTimeout`; off, they get the first failure:
  /// for a command that runs once. Default: on.
  public var isPatient = true
  /// How long a session may owe an answer before it is given up as lost; nil: as long as its socket lives. Postgres keeps to `statement_timeout`
  /// itself, but not while it waits for a synchronous standby, and not while its process is stopped. Scripts may
  /// take longer. Default: nil.
  public var answerTimeout: Duration?
  /// The longest pause before the first further attempt to connect; it doubles with each one. Pauses are drawn evenly from zero to that.
  /// Default: 100 ms.
  public var reconnectDelay: Duration = .milliseconds(100)
  /// The longest pause between attempts to connect. Default: 5 s.
  public var reconnectDelayMax: Duration = .seconds(5)
  /// Settings of each session from its start, such as `statement_timeout`. They outlive `RESET ALL` and `DISCARD ALL`.
  public var sessionSettings: [String: String] = [:]
  /// Settings of each session as far as the server knows them and the account may change them: the others are left out. One round
  /// trip more for each session.
  public var optionalSessionSettings: [String: String] = [:]
  /// When a silent peer is taken for dead.
  public var keepalives = Keepalives()
  /// A PEM file of authorities that a server's certificate is verified against (libpq's `sslrootcert`), if neither the connection
  /// string, nor a service, nor PGSSLROOTCERT names one. Then `sslmode` is `verify-full` for servers on other machines, unless it is
  /// given too.
  public var authorityFile: String?

  /// Reads a connection string.
  /// - Parameters:
  ///   - conninfo: a URI (`postgresql://user:password@host:5432/database?sslmode=require`, several hosts allowed) or
  ///     `key=value` pairs. One that cannot be read fails the connecting, with a message that does not quote it.
  ///   - applicationName: shown by `pg_stat_activity`.
  public init(conninfo: String, applicationName: String) {
    connectionString = Result { () throws(ConnectionString.Fault) in try ConnectionString(conninfo) }
    self.applicationName = applicationName
  }

  /// What is wrong with a connection string, as the second half of a sentence, found without a network; nil if it is in order. It
  /// quotes nothing that may be a part of a password.
  public static func fault(in conninfo: String) -> String? {
    do throws(ConnectionString.Fault) {
      _ = try ConnectionString(conninfo)
      return nil
    } catch {
      return error.reason
    }
  }

  private var target: ConnectionString? { try? connectionString.get() }

  /// Sessions that can write, unless the environment of libpq says otherwise: everything else is of no use to most programs, and a
  /// session with a standby would stay in a pool indefinitely.
  private static var defaultSessions: String {
    getenv("PGTARGETSESSIONATTRS").map { String(cString: $0) } ?? "read-write"
  }

  /// What `PQconnectStartParams` takes; later ones win over earlier ones of the same keyword.
  func parameters() throws(PostgresError) -> [(keyword: String, value: String)] {
    let target: [(keyword: String, value: String)]
    switch connectionString {
    case .success(let string): target = string.parameters
    case .failure(let fault):
      throw PostgresError(
        .connectionFailed, "the connection string \(fault.reason)", sqlState: PostgresSQLState.invalidParameterValue)
    }
    var parameters: [(keyword: String, value: String)] = [
      ("keepalives", "1"), ("keepalives_idle", "\(max(1, keepalives.idle.components.seconds))"),
      ("keepalives_interval", "\(max(1, keepalives.interval.components.seconds))"),
      ("keepalives_count", "\(keepalives.count)"),
      ("tcp_user_timeout", "\(keepalives.userTimeout.microseconds / 1_000)"),
      ("target_session_attrs", Self.defaultSessions),
    ]
    parameters += authorityParameters
    parameters += target
    parameters.append(("application_name", applicationName))
    parameters.append(("client_encoding", "UTF8"))
    if !sessionSettings.isEmpty { parameters.append(("options", options(target))) }
    return parameters
  }

  /// libpq's TLS parameters of `authorityFile`; those of the connection string, which follow, win.
  private var authorityParameters: [(keyword: String, value: String)] {
    guard let authorityFile, let target, target["service"] == nil, getenv("PGSERVICE") == nil,
      getenv("PGSSLROOTCERT") == nil
    else { return [] }
    let file = [(keyword: "sslrootcert", value: authorityFile)]
    return isElsewhere && getenv("PGSSLMODE") == nil ? file + [("sslmode", "verify-full")] : file
  }

  /// Whether one of the servers may be on another machine; a socket's folder and a loopback address are not.
  private var isElsewhere: Bool {
    let hosts = target?["host"] ?? target?["hostaddr"] ?? getenv("PGHOST").map { String(cString: $0) } ?? ""
    return hosts.split(separator: ",").contains { !Self.isHere($0) }
  }

  /// Whether a host of a connection string is this machine.
  static func isHere(_ host: some StringProtocol) -> Bool {
    host.isEmpty || host.first == "/" || host.first == "@" || IPAddress.isLoopback(String(host))
  }

  /// The session settings as command line options of the backend, behind those of the connection string.
  private func options(_ target: [(keyword: String, value: String)]) -> String {
    let given = target.last { $0.keyword == "options" }.map { [$0.value] } ?? []
    let settings = sessionSettings.sorted { $0.key < $1.key }.map { name, value in
      "-c " + "\(name)=\(value)".map { $0 == " " || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
    }
    return (given + settings).joined(separator: " ")
  }

  /// A message of libpq without the password, and without the lines that only developers of Postgres need.
  func redacted(_ message: String) -> String {
    let lines = message.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("LOCATION:") }
    let text = lines.joined(separator: "\n").onOneLine
    let secrets = (target?.parameters ?? []).filter { $0.keyword == "password" || $0.keyword == "sslpassword" }.map(
      \.value)
    return secrets.filter { !$0.isEmpty }.reduce(text) { text, secret in
      text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
    }
  }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// `postgresql://user@host:port/database`, without the password and the other parameters.
  public var description: String {
    guard let target else { return "postgresql://(cannot be read)" }
    let hosts = (target["host"] ?? target["hostaddr"] ?? "localhost").split(separator: ",")
    // One port is for all hosts; of several, an empty one is the default (libpq, 34.1.1.3).
    let ports = (target["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
    let authority = hosts.enumerated().map { index, host in
      let port = ports.count == 1 ? ports[0] : ports.dropFirst(index).first ?? ""
      return "\(host):\(port.isEmpty ? "5432" : port)"
    }
    let user = target["user"].map { "\($0)@" } ?? ""
    return "postgresql://\(user)\(authority.joined(separator: ","))/\(target["dbname"] ?? "")"
  }

  /// The same as `description`: a dump must not show the password either.
  public var debugDescription: String { description }

  /// The same as `description`, for `dump`.
  public var customMirror: Mirror { Mirror(self, children: ["target": description]) }
}

extension PostgresConfiguration {
  /// Both delays in one value.
  package var reconnect: Backoff {
    get { Backoff(base: reconnectDelay, max: reconnectDelayMax) }
    set { (reconnectDelay, reconnectDelayMax) = (newValue.base, newValue.max) }
  }
}

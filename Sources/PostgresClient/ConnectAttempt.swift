internal import Certificates
internal import Logging
internal import PollExecutor

/// Tries the servers of a connection string one after another, until one accepts.
struct ConnectAttempt {
  private let configuration: PostgresConfiguration
  private let executor: ThreadExecutor
  private let logger: Logger
  private let callbacks: PostgresConnection.Callbacks
  private let blocking = BlockingCalls()

  init(
    _ configuration: PostgresConfiguration, executor: ThreadExecutor, logger: Logger,
    callbacks: PostgresConnection.Callbacks
  ) {
    (self.configuration, self.executor, self.logger, self.callbacks) = (configuration, executor, logger, callbacks)
  }

  /// What has failed so far: an address, or a host that has none, and why.
  private typealias Faults = [(label: String, error: PostgresError)]

  func run() async throws(PostgresError) -> PostgresConnection {
    let parameters = try configuration.parameters()
    let plan = try await plan(parameters)
    var faults: Faults = []
    for sessions in plan.rounds {
      for host in configuration.preferred.ordered(plan.hosts) {
        let found: [ConnectPlan.Target]
        do {
          found = try await targets(of: host, within: plan.timeout)
        } catch {
          try note((host.name, error), &faults)
          continue
        }
        for target in found {
          do {
            return try await open(target, target.applied(to: parameters, sessions: sessions), plan, found.count)
          } catch {
            try note((target.label, error), &faults)
          }
        }
      }
    }
    throw summary(faults)
  }

  private func note(_ fault: (label: String, error: PostgresError), _ faults: inout Faults) throws(PostgresError) {
    if fault.error.kind == .cancelled { throw fault.error }
    faults.append(fault)
    callbacks.onFault(summary(faults))
  }

  /// One error for all: what may pass at one of the servers keeps the hope for the others.
  private func summary(_ faults: Faults) -> PostgresError {
    let first = faults.first { $0.error.isTransient } ?? faults.first
    var texts: [String] = []
    for fault in faults {
      let text = faults.count == 1 ? fault.error.message : "\(fault.label): \(fault.error.message)"
      if !texts.contains(text) { texts.append(text) }
    }
    return PostgresError(
      .connectionFailed, "\(configuration): \(texts.joined(separator: "; "))", sqlState: first?.error.sqlState)
  }

  // MARK: Steps

  private func plan(_ parameters: [(keyword: String, value: String)]) async throws(PostgresError) -> ConnectPlan {
    let blocking = blocking
    let complete = try await within(configuration.connectTimeout, "reading of the service file and the password file") {
      await blocking.complete(parameters)
    }
    switch complete {
    case .success(var effective):
      effective["target_session_attrs"] = parameters.last { $0.keyword == "target_session_attrs" }?.value
      return ConnectPlan(effective, connectTimeout: configuration.connectTimeout)
    case .failure(let fault):
      // Found in the parameters: no later attempt can be better.
      throw PostgresError(
        .connectionFailed, "\(configuration): \(configuration.redacted(fault.message))",
        sqlState: PostgresSQLState.invalidParameterValue)
    }
  }

  /// The addresses that a host has now.
  private func targets(
    of host: ConnectPlan.Host, within time: Duration
  ) async throws(PostgresError) -> [ConnectPlan.Target] {
    guard host.needsLookUp else { return [ConnectPlan.Target(host: host, address: host.address)] }
    let blocking = blocking
    switch try await within(time, "look-up of the host's name", { await blocking.lookUp(host.name) }) {
    case .success(let addresses):
      return configuration.preferred.ordered(addresses.map { ConnectPlan.Target(host: host, address: $0) })
    case .failure(let fault):
      throw PostgresError(.connectionFailed, "the host's name cannot be looked up: \(fault.message)")
    }
  }

  private func open(
    _ target: ConnectPlan.Target, _ parameters: [(keyword: String, value: String)], _ plan: ConnectPlan,
    _ addressCount: Int
  ) async throws(PostgresError) -> PostgresConnection {
    let connection = PostgresConnection(
      configuration: configuration, executor: executor, blocking: blocking, logger: logger, callbacks: callbacks)
    let reply = PostgresReply<Void>()
    await connection.start(
      parameters, tcpTimeout: plan.tcpTimeout(addressCount: addressCount), loginTimeout: plan.timeout, reply)
    do {
      try await reply.value { [executor] in
        executor.enqueueOnce { connection.assumeIsolated { $0.end(.cancelled) } }
      }
    } catch {
      throw await explained(error, target, plan)
    }
    await warnIfOpen(connection, target, plan)
    await applyOptionalSettings(to: connection)
    configuration.preferred.note(target)
    return connection
  }

  /// libpq says only "certificate verify failed": a look at the server's certificate says why.
  private func explained(
    _ error: PostgresError, _ target: ConnectPlan.Target, _ plan: ConnectPlan
  ) async -> PostgresError {
    guard error.kind == .connectionFailed, TLSPlan.isFault(error.message), let look = plan.tls.look(at: target) else {
      return error
    }
    let fault = await blocking.tlsFault(look)
    guard let fault = fault ?? TLSPlan.advice(error.message, look) else { return error }
    var error = error
    error.message += "; TLS: \(fault)"
    return error
  }

  /// Says once what others on the way to another machine can read or forge.
  private func warnIfOpen(_ connection: PostgresConnection, _ target: ConnectPlan.Target, _ plan: ConnectPlan) async {
    let isHere = PostgresConfiguration.isHere(target.host.name.isEmpty ? target.address : target.host.name)
    let isEncrypted = await connection.isEncrypted
    guard !isHere, !plan.tls.verifies || !isEncrypted else { return }
    let what = isEncrypted ? "is encrypted, but the server is not verified" : "is not encrypted"
    guard configuration.notices.isFirst("\(target.label) \(what)") else { return }
    logger.warning(
      "the session with Postgres \(what): others on the way can read and change it; set sslmode=verify-full and sslrootcert in the connection string",
      metadata: ["server": "\(target.label)"])
  }

  private static let settings = PostgresStatement(
    unprepared: """
      SELECT pg_catalog.set_config(s.name, p.value, false)
        FROM pg_catalog.pg_settings s
        JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS p(name, value) ON p.name = s.name
       WHERE s.setting IS DISTINCT FROM p.value
         AND (s.context = 'user'
              OR s.context = 'superuser' AND pg_catalog.current_setting('is_superuser') = 'on')
      """)

  private func applyOptionalSettings(to connection: PostgresConnection) async {
    let settings = configuration.optionalSessionSettings
    guard !settings.isEmpty else { return }
    do {
      _ = try await connection.query(Self.settings, [Array(settings.keys), Array(settings.values)])
    } catch {
      // They are not worth a session; a connection that was lost shows at its first use.
      logger.debug("optional settings of a session were not applied", metadata: ["error": "\(error)"])
    }
  }

  /// Waits for a call that blocks, at most for a time: the call itself cannot be interrupted, and ends by itself.
  private func within<Value: Sendable>(
    _ time: Duration, _ what: String, _ call: @escaping @Sendable () async -> Value
  ) async throws(PostgresError) -> Value {
    let reply = PostgresReply<Value>()
    let timer = executor.schedule(after: time) {
      reply.complete(.failure(PostgresError(.connectionFailed, "the \(what) took longer than \(time)")))
    }
    defer { executor.cancel(timer) }
    // Unstructured: a child task would be waited for.
    Task { reply.complete(.success(await call())) }
    return try await reply.value {}
  }
}

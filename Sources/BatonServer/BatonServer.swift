package import HTTPKit
package import Logging
package import Primitives
package import ReviewStore
internal import Reviews
internal import ServiceLifecycle
package import Telemetry
package import WorkerAPI
package import WorkerClient

/// The HTTP side of Baton: intake, status callbacks, API, dashboard, health and metrics. One folder for each; a folder gives a list of
/// `Route`s, and this type puts them on one port.
///
/// No request waits for the broker, a platform or the worker, apart from the figures of the queue and a run's events. If Postgres is
/// unreachable, what needs it answers 503 with `Retry-After`, and the rest goes on. So it is before the schema has been checked.
package struct BatonServer: Service {
  /// What the settings say about this role.
  package struct Configuration: Sendable {
    /// `BATON_HTTP_HOST`.
    package var host: String
    /// `BATON_HTTP_PORT`; 0 takes any free port.
    package var port: Int
    /// How many connections are accepted at once; further ones wait in the kernel's backlog.
    package var connectionMax: Int
    /// `BATON_API_TOKEN`, or a token that the process has made.
    package var apiToken: SecretList
    /// `BATON_READ_TOKEN`.
    package var readToken: SecretList?
    /// `BATON_TRUSTED_PROXIES` and `BATON_ACTOR_HEADER`.
    package var proxies: TrustedProxies
    /// How people sign in if the process has made its token.
    package var loginLink: LoginLink?
    /// `BATON_CALLBACK_SECRET`.
    package var callbackSecret: SecretList?
    /// Of `BATON_ENCRYPTION_KEY`: verify the tokens that single runs report with.
    package var authKeys: [AuthKey]
    /// What webhooks are recognised by.
    package var webhooks: WebhookSecrets
    /// What else the settings say about webhooks.
    package var webhookPolicy: WebhookPolicy
    /// `BATON_LEASE`.
    package var heartbeatTimeout: Duration
    /// By what the dashboard judges.
    package var watch: WatchPolicy
    /// What an operator may change by pages and API.
    package var administration: AdministrationPolicy

    package init(
      host: String, port: Int, connectionMax: Int = 1_024, apiToken: SecretList, readToken: SecretList? = nil,
      proxies: TrustedProxies = TrustedProxies(), loginLink: LoginLink? = nil, callbackSecret: SecretList? = nil,
      authKeys: [AuthKey] = [],
      webhooks: WebhookSecrets = WebhookSecrets(), webhookPolicy: WebhookPolicy = WebhookPolicy(),
      heartbeatTimeout: Duration, watch: WatchPolicy,
      administration: AdministrationPolicy = AdministrationPolicy()
    ) {
      self.host = host
      self.port = port
      self.connectionMax = connectionMax
      self.apiToken = apiToken
      self.readToken = readToken
      self.proxies = proxies
      self.loginLink = loginLink
      self.callbackSecret = callbackSecret
      self.authKeys = authKeys
      self.webhooks = webhooks
      self.webhookPolicy = webhookPolicy
      self.heartbeatTimeout = heartbeatTimeout
      self.watch = watch
      self.administration = administration
    }
  }

  /// Every path that has a route.
  package let paths: [RoutePath]
  private let listener: HTTPListener<RouteResponder>

  /// Puts the routes together; nothing listens yet. The gauges of the load are measured with every scrape from now on.
  /// - Parameters:
  ///   - configuration: where it listens, and whom it answers.
  ///   - store: where the reviews are.
  ///   - worker: asked for a run's events; its timeout is how long a page waits. nil if none is set.
  ///   - queueStats: nil if the broker cannot be reached; bounds its own time, and ends when it is cancelled.
  ///   - deadLetters: bounds its own time.
  ///   - metrics: what it counts in.
  ///   - registry: what `/metrics` shows.
  ///   - readiness: what `/readyz` shows.
  ///   - isOpen: whether the database has the schema of this program; until then, what needs it is answered with 503.
  ///   - logger: for what it reports.
  ///   - onBound: gets the real port, once, when the server can be reached.
  package init(
    configuration: Configuration, store: ReviewStore, worker: WorkerClient? = nil,
    queueStats: @escaping @Sendable () async -> QueueFigures?, deadLetters: DeadLetterAccess,
    metrics: BatonMetrics, registry: PrometheusRegistry, readiness: Readiness,
    isOpen: @escaping @Sendable () -> Bool = { true }, logger: Logger,
    onBound: @escaping @Sendable (Int) async -> Void = { _ in }
  ) {
    let figures = LoadFigures(
      store: store, heartbeatTimeout: configuration.heartbeatTimeout, ownerLimit: configuration.watch.ownerLimit,
      queueStats: queueStats)
    registry.onCollect { await figures.measure(into: metrics) }
    let authority = CallbackAuthority(secrets: configuration.callbackSecret, keys: configuration.authKeys)
    let access = AccessRule(
      tokens: configuration.apiToken, readTokens: configuration.readToken,
      proxies: configuration.proxies)
    let administration = Administration(store: store, policy: configuration.administration)
    let stored =
      DashboardRoutes(
        store: store, figures: figures, deadLetters: deadLetters, worker: worker, access: access,
        link: configuration.loginLink, administration: administration, policy: configuration.watch,
        logger: logger
      ).routes
      + SubmitRoute(store: store).routes
      + ReviewRoutes(store: store).routes
      + WebhookListRoute(store: store).routes
      + OperationRoutes(store: store).routes
      + AdministrationRoutes(store: store, administration: administration).routes
      + WorkerVersionRoute(store: store).routes
      + StatsRoute(figures: figures).routes
      + CallbackRoute(store: store, authority: authority, metrics: metrics).routes
      + WebhookRoutes(
        store: store, secrets: configuration.webhooks,
        intake: WebhookIntake(store: store, policy: configuration.webhookPolicy, logger: logger)
      ).routes
    let routes =
      stored.map { $0.path == .asset ? $0 : $0.closed(until: isOpen) }
      + OpenAPIRoute().routes + HealthRoutes(registry: registry, readiness: readiness).routes
    let table = RouteTable(routes)
    paths = table.paths
    listener = HTTPListener(
      host: configuration.host, port: configuration.port,
      limits: ConnectionLimits(connectionMax: configuration.connectionMax),
      responder: RouteResponder(
        table, access: access, watch: Refusals(proxies: configuration.proxies, logger: logger),
        metrics: metrics, known: { HTTPFault(ofStore: $0) }),
      logger: logger,
      onBound: onBound)
  }

  /// Serves until graceful shutdown, then lets the requests under way end; or until cancellation.
  /// - Throws: `ListenError` if the address cannot be had.
  package func run() async throws { try await listener.run() }
}

package import Logging
internal import ServiceLifecycle
package import Telemetry

/// `/metrics`, `/livez` and `/readyz` on a port of their own (`BATON_METRICS_HOST`, `BATON_METRICS_PORT`): for the roles that serve nothing
/// else, and for a server whose main port others may fill.
package struct HealthServer: Service {
  private let listener: HTTPListener<RouteResponder>

  /// - Parameters:
  ///   - host: the address to listen on.
  ///   - port: 0 takes any free port.
  ///   - connectionMax: how many connections are accepted at once; further ones wait in the kernel's backlog.
  ///   - metrics: what it counts in.
  ///   - registry: what `/metrics` shows.
  ///   - readiness: what `/readyz` shows.
  ///   - logger: for what it reports.
  ///   - onBound: gets the real port, once, when the server can be reached.
  package init(
    host: String, port: Int, connectionMax: Int = 64, metrics: BatonMetrics, registry: PrometheusRegistry,
    readiness: Readiness, logger: Logger, onBound: @escaping @Sendable (Int) async -> Void = { _ in }
  ) {
    let routes = HealthRoutes(registry: registry, readiness: readiness).routes
    listener = HTTPListener(
      host: host, port: port, limits: ConnectionLimits(connectionMax: connectionMax),
      responder: RouteResponder(RouteTable(routes), metrics: metrics),
      logger: logger, onBound: onBound)
  }

  /// Serves until graceful shutdown or cancellation.
  /// - Throws: ``ListenError`` if the address cannot be had.
  package func run() async throws { try await listener.run() }
}

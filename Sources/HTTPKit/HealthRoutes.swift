internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Resilience
package import Telemetry

extension RoutePath {
  static let metrics = RoutePath("/metrics")
  static let livez = RoutePath("/livez")
  static let readyz = RoutePath("/readyz", answers: 200, 503)
}

/// What probes and Prometheus ask for, the same in every role. It is open to all, so however many ask, the database and the broker are asked
/// once a second.
package struct HealthRoutes: Sendable {
  private let registry: PrometheusRegistry
  private let readiness: Remembered<Readiness.Report>

  package init(registry: PrometheusRegistry, readiness: Readiness) {
    self.registry = registry
    self.readiness = Remembered { await readiness.report() }
  }

  package var routes: [Route] {
    [
      Route(.get, .metrics, access: .open) { _ in
        .content(.ok, type: "text/plain; version=0.0.4; charset=utf-8", ByteBuffer(string: await registry.scrape()))
      },
      Route(.get, .livez, access: .open) { _ in .json(.ok, ["status": "alive"]) },
      Route(.get, .readyz, access: .open) { _ in
        let report = try await readiness.value()
        return .json(report.isReady ? .ok : .serviceUnavailable, ReadinessBody(report))
      },
    ]
  }
}

/// The body of `/readyz`: `ok` or what is missing, by the name of the check.
private struct ReadinessBody: Encodable {
  var status: String
  var checks: [String: String]

  init(_ report: Readiness.Report) {
    status = report.isReady ? "ready" : "not ready"
    checks = report.checks.mapValues { $0 ?? "ok" }
  }
}

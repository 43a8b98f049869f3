internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Telemetry

/// What probes and Prometheus ask for, the same in every role.
struct HealthRoutes: Sendable {
  let registry: PrometheusRegistry
  let readiness: Readiness

  var routes: [Route] {
    [
      Route(.get, .metrics, access: .open) { _ in
        .content(.ok, type: "text/plain; version=0.0.4; charset=utf-8", ByteBuffer(string: await registry.collect()))
      },
      Route(.get, .livez, access: .open) { _ in .json(.ok, ["status": "alive"]) },
      Route(.get, .readyz, access: .open) { _ in
        let report = await readiness.report()
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

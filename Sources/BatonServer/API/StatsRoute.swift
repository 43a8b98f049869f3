internal import HTTPTypes
internal import Hummingbird
internal import Telemetry

/// The load at a glance, for people and scripts.
struct StatsRoute: Sendable {
  let figures: LoadFigures

  var routes: [Route] {
    [Route(.get, .stats, access: .api) { _ in .json(.ok, try await figures.stats()) }]
  }
}

internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Resilience
internal import Telemetry

/// The load at a glance, for people and scripts.
struct StatsRoute: Sendable {
  /// Once a second for all who ask.
  private let stats: Remembered<StatsBody>

  init(figures: LoadFigures) { stats = Remembered { try await figures.stats() } }

  var routes: [Route] {
    [Route(.get, .stats, access: .api) { _ in .json(.ok, try await stats.value()) }]
  }
}

internal import AsyncHTTPClient
internal import Platforms
internal import Reviews
package import ServiceLifecycle
internal import Settings
internal import Telemetry

/// The process's way to GitHub and GitLab, for all of its roles, and the connections under it.
package struct PlatformAssembly: Sendable {
  let access: PlatformAccess
  let httpClient: HTTPClient
  /// Of the hosts that feedback and tasks are sent to.
  let outboxCircuits = Circuits()

  /// - Throws: what is wrong with the settings; without BATON_ENCRYPTION_KEY there is no such thing.
  package init(_ process: DispatcherProcess) throws {
    let settings = process.settings
    httpClient = PlatformAccess.makeHTTPClient(
      connectionMax: process.files[.platforms] ?? 1, trust: process.trust)
    access = try PlatformAccess(
      settings: PlatformSettings(settings, trust: process.trust),
      httpClient: httpClient, integrationTokens: StoredIntegrationTokens(store: process.store), logger: process.logger)
    let (access, metrics) = (access, process.metrics)
    process.registry.onCollect {
      for platform in Platform.allCases {
        let gauge = metrics.rateLimitLeft(platform)
        if let left = access.leastRateLimitLeft(at: platform) { gauge.set(left) } else { gauge.unset() }
      }
    }
  }

  /// Shuts the connections down after the services that call over them.
  package var connections: some Service {
    BackgroundService { [httpClient] in
      try? await gracefulShutdown()
      // Everything has been answered by now; a connection that does not close cleanly changes nothing.
      await Task { try? await httpClient.shutdown() }.value
    }
  }
}

internal import FoundationEssentials
package import Primitives
internal import Reviews
internal import Settings

extension Settings {
  /// Where a person on this machine finds the dashboard. A wildcard can be listened on but not called.
  var dashboardURL: String {
    let host = ["0.0.0.0", "::"].contains(httpHost) ? "127.0.0.1" : httpHost
    return "http://\(host.contains(":") ? "[\(host)]" : host):\(httpPort)"
  }

  /// What a server that other machines reach should not do without.
  var exposureWarnings: [String] {
    guard !Settings.isLoopback(httpHost) else { return [] }
    var warnings: [String] = []
    if apiToken == nil {
      warnings.append(
        """
        BATON_API_TOKEN is not set, and other machines reach this server: its token changes at every restart, and several servers \
        each have their own, so sign-ins do not last; set BATON_API_TOKEN
        """)
    }
    if trustedProxies.isEmpty {
      warnings.append(
        """
        other machines reach this server without a proxy in BATON_TRUSTED_PROXIES: tokens and sessions travel as plain text unless \
        something in front speaks TLS; deploy/proxy.md has an example
        """)
    }
    return warnings
  }
}

extension Secret {
  /// 32 random bytes in base64.
  package static func random() -> Secret {
    Secret(Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString())
  }
}

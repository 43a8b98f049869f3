internal import BatonServer
internal import FoundationEssentials
internal import Logging
internal import Primitives
internal import Reviews
internal import Settings

extension LoginLink {
  /// Shows its links where the server was started: as a line of their own on a terminal, which makes them clickable and keeps them out of
  /// what collects logs; otherwise in the log, because there is no other place, and a link opens one session only.
  convenience init(to settings: Settings, _ logger: Logger) {
    let base = settings.dashboardURL
    self.init { path in
      if Terminal.error.isInteractive {
        Output.note("To sign in to the dashboard, open (works once, within an hour):\n\n    \(base)\(path)\n")
      } else {
        logger.notice(
          "to sign in to the dashboard, open this link; it works once, within an hour",
          metadata: ["link": "\(base)\(path)"])
      }
    }
  }
}

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
  static func random() -> Secret {
    Secret(Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString())
  }
}

/// Which of the worker's variables its agents get: what programs need to run at all, and what a setting names. All others are none of
/// their business: PGPASSWORD, AWS_SECRET_ACCESS_KEY, and whatever else the worker's machine has.
enum AgentEnvironment {
  private static let names: Set<String> = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
  ]
  /// In lower and upper case: programs do not agree.
  private static let proxies: Set<String> = ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"]

  /// - Parameters:
  ///   - environment: the worker's own.
  ///   - further: names from the setting; one may end in `*`.
  static func allowed(of environment: [String: String], further: [String]) -> [String: String] {
    environment.filter { name, _ in
      // Never, whatever the setting says: these are Baton's own.
      guard !name.hasPrefix("BATON_") else { return false }
      return names.contains(name) || name.hasPrefix("LC_") || isProxy(name)
        || further.contains { $0.hasSuffix("*") ? name.hasPrefix($0.dropLast()) : name == $0 }
    }
  }

  private static func isProxy(_ name: String) -> Bool {
    proxies.contains(name) || proxies.contains { $0.uppercased() == name }
  }
}

/// The GitLab hosts that an integration may name: a token is sent nowhere else, and nothing else is called.
struct GitLabHosts: Sendable, Equatable {
  private let entries: Set<String>

  /// - Parameter hosts: `gitlab.com`, which allows every port of it, or `gitlab.example.com:8443`, which allows one.
  init(_ hosts: [String]) { entries = Set(hosts.map { $0.lowercased() }) }

  /// Whether the instance may be called.
  func contains(_ instance: APIBase) -> Bool {
    entries.contains(instance.host) || entries.contains("\(instance.host):\(instance.port ?? instance.schemePort)")
  }

  /// For a message: what the operator has allowed.
  var list: String { entries.sorted().joined(separator: ", ") }
}

extension APIBase {
  fileprivate var schemePort: Int { scheme == "https" ? 443 : 80 }
}

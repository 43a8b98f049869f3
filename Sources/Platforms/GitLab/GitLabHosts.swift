internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// The GitLab hosts that an integration may name: a token is sent nowhere else, and nothing else is called.
package struct GitLabHosts: Sendable, Equatable {
  private let entries: Set<String>

  /// - Parameter hosts: `gitlab.com`, which allows every port of it, or `gitlab.example.com:8443`, which allows one.
  package init(_ hosts: [String]) { entries = Set(hosts.map { $0.lowercased() }) }

  /// Why an instance may not be called, and what to do. The address itself is not quoted if it may hold a password.
  package enum Fault: Error, Sendable, Equatable, CustomStringConvertible {
    case noAddress
    case notAllowed(authority: String, allowed: String)
    case withoutTLS(authority: String)

    package var description: String {
      switch self {
      case .noAddress:
        "The GitLab instance's address is not an http or https one without a user and a query: give another with "
          + "`baton integration add --instance-url`."
      case .notAllowed(let authority, let allowed):
        "\(authority) is not a GitLab host that may be called: add it to BATON_GITLAB_HOSTS, which allows "
          + "\(allowed.isEmpty ? "none" : allowed), or correct the integration's instance_url."
      case .withoutTLS(let authority):
        "\(authority) would be called without TLS: give an https address with `baton integration add --instance-url`."
      }
    }
  }

  /// How long a review waits for a consumer that may call its host, or for the operator.
  static let retryDelay: Duration = .seconds(60)

  /// The instance at an address, where it may be called: an allowed host, by TLS or on this machine.
  /// - Parameter address: with or without a path.
  package func instance(at address: String) throws(Fault) -> GitLabInstance {
    guard let base = APIBase(address) else { throw .noAddress }
    guard allows(base) else {
      throw .notAllowed(authority: base.authority, allowed: entries.sorted().joined(separator: ", "))
    }
    guard base.keepsSecrets else { throw .withoutTLS(authority: base.authority) }
    return GitLabInstance(base: base)
  }

  /// The instance of a merge request: the integration's, or without one that where the merge request's own address lies.
  func instance(of integration: Integration?, mergeRequest url: String) throws(Fault) -> GitLabInstance {
    if let named = integration?.instanceUrl, !named.isEmpty { return try instance(at: named) }
    return try instance(at: Self.origin(of: url))
  }

  private func allows(_ base: APIBase) -> Bool {
    entries.contains(base.host) || entries.contains("\(base.host):\(base.port ?? (base.scheme == "https" ? 443 : 80))")
  }

  private static func origin(of url: String) -> String {
    guard var components = URLComponents(string: url) else { return "" }
    (components.path, components.query, components.fragment) = ("", nil, nil)
    return components.string ?? ""
  }
}

/// A GitLab instance that may be called. Only ``GitLabHosts`` makes one, so that its holder need not check.
package struct GitLabInstance: Sendable, Equatable {
  /// Its address, without `/api/v4`.
  let base: APIBase

  fileprivate init(base: APIBase) { self.base = base }

  /// Its address in one way of writing: lower case, without the scheme's own port and a slash at its end.
  package var url: String { base.url("") }

  /// Calls its API, version 4, with what a client of another host has and has learnt.
  func api(_ client: APIClient) -> APIClient { client.at(base.appending(path: "/api/v4")) }
}

/// A GitLab instance that an integration may name.
package struct GitLabInstance: Sendable, Equatable {
  /// Its address in one way of writing: lower case, without the scheme's own port and a slash at its end.
  package let url: String

  /// Why an address may not be named.
  package struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// - Parameters:
  ///   - address: with or without a path.
  ///   - allowedHosts: of `BATON_GITLAB_HOSTS`.
  package init(_ address: String, allowedHosts: [String]) throws(Fault) {
    guard let base = APIBase(address) else {
      throw Fault(description: "is not an http or https address without a user and a query")
    }
    let hosts = GitLabHosts(allowedHosts)
    guard hosts.contains(base) else {
      throw Fault(description: "\(base.authority) may not be called: BATON_GITLAB_HOSTS allows \(hosts.list)")
    }
    guard base.scheme == "https" || base.isLoopback else {
      throw Fault(description: "\(base.authority) would be called without TLS: give an https address")
    }
    url = base.url("")
  }
}

package import Platforms

/// What an operator may change by pages and API, beyond single reviews: by what secrets are sealed, and where they may go.
package struct AdministrationPolicy: Sendable {
  /// Seals secrets; nil without BATON_ENCRYPTION_KEY: then none are taken.
  package var cipher: TokenCipher?
  /// `BATON_GITLAB_HOSTS`.
  package var gitlabHosts: [String]
  /// `BATON_EVENT_HOSTS`.
  package var eventHosts: [String]

  package init(
    cipher: TokenCipher? = nil, gitlabHosts: [String] = ["gitlab.com"], eventHosts: [String] = []
  ) {
    (self.cipher, self.gitlabHosts, self.eventHosts) = (cipher, gitlabHosts, eventHosts)
  }
}

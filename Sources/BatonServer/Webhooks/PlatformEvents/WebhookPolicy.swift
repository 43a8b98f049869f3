internal import Reviews

/// What the settings say about webhooks.
package struct WebhookPolicy: Sendable, Equatable {
  /// What a new installation of the GitHub App becomes.
  package enum Provisioning: String, Sendable, CaseIterable {
    /// Nothing: an operator adds its integration.
    case off
    /// An integration of the owner `org:LOGIN` or `user:LOGIN`, as GitHub names the account, with reviews enabled.
    case account
  }

  /// The word that begins a comment which asks for a review; nil for none.
  package var command: String?
  /// The label that asks for a review when it is added; nil for none.
  package var label: String?
  package var provisioning: Provisioning
  /// The app's number or client id: checks of other apps are not ours. nil if it is not known.
  package var appID: String?

  package init(
    command: String? = "/review", label: String? = nil, provisioning: Provisioning = .off, appID: String? = nil
  ) {
    self.command = command
    self.label = label
    self.provisioning = provisioning
    self.appID = appID
  }

  /// Whether a comment asks for a review: the word stands alone, or before other words, at the beginning of a line.
  func isCommand(_ comment: String) -> Bool {
    guard let command else { return false }
    return comment.split(whereSeparator: \.isNewline).contains { line in
      line.split(whereSeparator: \.isWhitespace).first.map { $0.lowercased() == command.lowercased() } ?? false
    }
  }

  func isLabel(_ name: String?) -> Bool {
    guard let name, let label else { return false }
    return name.lowercased() == label.lowercased()
  }
}

extension Output {
  /// Shows a login link on a terminal: a line of its own can be clicked, and is not collected with the log. nil without a terminal: then the
  /// log has it.
  static var showLoginLink: (@Sendable (String) -> Void)? {
    guard Terminal.error.isInteractive else { return nil }
    return { link in
      note("To sign in to the dashboard, open (works once, within an hour):\n\n    \(link)\n")
    }
  }
}

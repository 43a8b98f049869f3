internal import HTTPKit

/// Every path of the server but those for probes and Prometheus.
extension RoutePath {
  static let reviews = RoutePath("/api/reviews", answers: 200, 201)
  static let review = RoutePath("/api/reviews/{id}")
  static let cancel = RoutePath("/api/reviews/{id}/cancel", answers: 202)
  static let retry = RoutePath("/api/reviews/{id}/retry", answers: 202)
  static let stats = RoutePath("/api/stats")
  static let openAPI = RoutePath("/api/openapi.json")
  static let callback = RoutePath("/api/internal/code-review-status/{id}")
  static let githubWebhook = RoutePath("/webhooks/github", answers: 200, 202)
  static let gitlabWebhook = RoutePath("/webhooks/gitlab/{integrationId}", answers: 200, 202)
  static let dashboard = RoutePath("/")
  static let reviewList = RoutePath("/reviews")
  static let reviewPage = RoutePath("/reviews/{id}")
  static let cancelPage = RoutePath("/reviews/{id}/cancel", answers: 303)
  static let retryPage = RoutePath("/reviews/{id}/retry", answers: 303)
  static let deadLetters = RoutePath("/dead-letters")
  static let pauseOwner = RoutePath("/owners/pause", answers: 303)
  static let resumeOwner = RoutePath("/owners/resume", answers: 303)
  static let live = RoutePath("/live")
  static let login = RoutePath("/login", answers: 303)
  static let logout = RoutePath("/logout", answers: 303)
  static let asset = RoutePath("/assets/{name}")
}

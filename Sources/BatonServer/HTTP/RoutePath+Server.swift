internal import HTTPKit
internal import ReviewStore

/// Every path of the server but those for probes and Prometheus.
extension RoutePath {
  static let reviews = RoutePath("/api/reviews", answers: 200, 201)
  static let review = RoutePath("/api/reviews/{id}")
  static func operation(_ operation: ReviewOperation) -> RoutePath {
    RoutePath("/api/reviews/{id}/\(operation.rawValue)", answers: 202)
  }
  static func operationOnMany(_ operation: ReviewOperation) -> RoutePath {
    RoutePath("/api/reviews/\(operation.rawValue)")
  }
  static let stats = RoutePath("/api/stats")
  static let workerVersions = RoutePath("/api/worker-versions")
  static let deliveryList = RoutePath("/api/deliveries")
  static let openAPI = RoutePath("/api/openapi.json")
  static let callback = RoutePath("/api/internal/code-review-status/{id}")
  static let githubWebhook = RoutePath("/webhooks/github", answers: 200, 202)
  static let gitlabWebhook = RoutePath("/webhooks/gitlab/{integrationId}", answers: 200, 202)
  static let dashboard = RoutePath("/")
  static let reviewList = RoutePath("/reviews")
  static let reviewPage = RoutePath("/reviews/{id}")
  static func operationPage(_ operation: ReviewOperation) -> RoutePath {
    RoutePath("/reviews/{id}/\(operation.rawValue)", answers: 303)
  }
  static func operationOnListed(_ operation: ReviewOperation) -> RoutePath {
    RoutePath("/reviews/\(operation.rawValue)", answers: 303)
  }
  static let deadLetters = RoutePath("/dead-letters")
  static let deleteDeadLetter = RoutePath("/dead-letters/delete", answers: 303)
  static let deliveriesPage = RoutePath("/deliveries")
  static let pauseOwner = RoutePath("/owners/pause", answers: 303)
  static let resumeOwner = RoutePath("/owners/resume", answers: 303)
  static let owners = RoutePath("/api/owners")
  static let configurations = RoutePath("/api/configurations")
  static let integrations = RoutePath("/api/integrations", answers: 200, 201)
  static let revokeIntegration = RoutePath("/api/integrations/{id}/revoke")
  static let endpoints = RoutePath("/api/endpoints", answers: 200, 201)
  static func endpoint(_ operation: Administration.EndpointOperation) -> RoutePath {
    RoutePath("/api/endpoints/{id}/\(operation.rawValue)")
  }
  static let endpointSecret = RoutePath("/api/endpoints/{id}/secret")
  static let ownersPage = RoutePath("/owners")
  static let ownerPage = RoutePath("/owner")
  static let ownerLimit = RoutePath("/owner/limit", answers: 303)
  static let ownerConfiguration = RoutePath("/owner/configuration", answers: 303)
  static let ownerIntegration = RoutePath("/owner/integration", answers: 303)
  static let revokeIntegrationPage = RoutePath("/integrations/{id}/revoke", answers: 303)
  static let endpointsPage = RoutePath("/endpoints")
  static func endpointPage(_ operation: Administration.EndpointOperation) -> RoutePath {
    RoutePath("/endpoints/{id}/\(operation.rawValue)", answers: 303)
  }
  static let endpointSecretPage = RoutePath("/endpoints/{id}/secret")
  static let live = RoutePath("/live")
  static let login = RoutePath("/login", answers: 303)
  static let logout = RoutePath("/logout", answers: 303)
  static let asset = RoutePath("/assets/{name}")
}

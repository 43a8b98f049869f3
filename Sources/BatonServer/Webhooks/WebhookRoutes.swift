internal import HTTPKit
internal import HTTPTypes
internal import ReviewStore

/// `POST /webhooks/github` and `POST /webhooks/gitlab/{integrationId}`.
///
/// Who sent it is decided first, on the bytes as they came; then they are decoded and stored; then anything else happens. What can be refused
/// without the body is refused before it is read: GitLab's sender is known by its token, GitHub's by a signature of the body alone.
struct WebhookRoutes: Sendable {
  let store: ReviewStore
  let secrets: WebhookSecrets
  let intake: WebhookIntake
  let sources: WebhookSources
  let bodies = WebhookBodies()

  init(store: ReviewStore, secrets: WebhookSecrets, intake: WebhookIntake) {
    self.store = store
    self.secrets = secrets
    self.intake = intake
    sources = WebhookSources(store: store, canOpen: secrets.cipher != nil)
  }

  var routes: [Route] {
    [
      Route(.post, .githubWebhook, access: .open, handle: receiveGitHub),
      Route(.post, .gitlabWebhook, access: .open, handle: receiveGitLab),
    ]
  }
}

/// One recorded exchange with GitHub or GitLab.
struct Recording: Sendable {
  let method: String
  let path: String
  let status: Int
  let headers: [String: String]
  /// The body as it was recorded, in many lines.
  let body: String

  init(method: String, path: String, status: Int, headers: [String: String], body: String) {
    self.method = method
    self.path = path
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The bodies of the recordings that are kept, by method and path; for tests of those who read such answers.
  static let all: [Recording] = [
    .pull1, .pull2, .pull3, .pull4, .pull31, .pull1171, .helloWorldPull2, .pull31Comments, .pull31Commits, .pull31Files,
    .issue31Comments, .repository, .repository146139403, .renamedRepository, .installation, .installationToken,
    .installationTokenWriting, .installationTokenUnauthorized, .installationTokenMissing, .installationTokenRefused,
    .reaction, .mergeRequest14656, .mergeRequestDiffs, .projectAccessToken,
  ]
}

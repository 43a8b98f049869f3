internal import FoundationEssentials
internal import WorkerAPI

/// Keeps a run's tokens out of its events and messages, whatever the agent prints.
struct Redactor: Sendable {
  private let secrets: [String]

  /// A shorter text is no token, and would blot out ordinary words.
  private static let byteCountMin = 8

  init(_ request: StartRequest) {
    secrets = [request.authToken, request.sessionInput.githubToken, request.sessionInput.gitToken]
      .compactMap { $0 }.filter { $0.utf8.count >= Self.byteCountMin }
  }

  func callAsFunction(_ text: String) -> String {
    secrets.reduce(text) { $0.contains($1) ? $0.replacing($1, with: "***") : $0 }
  }
}

internal import FoundationEssentials
internal import HTTPTrust
internal import Primitives
internal import Reviews
internal import Settings
internal import WorkerAPI
internal import WorkerClient

extension CommandSession {
  /// What the worker says about a run.
  /// - Throws: `Failure` if it cannot be asked; a review that it does not know is among them.
  func events(of review: UUID) async throws -> [RunEvent] {
    guard let url = settings.workerURL, let token = settings.workerToken?.current else {
      throw Failure(.settings, "BATON_WORKER_URL and BATON_WORKER_TOKEN are needed to ask the worker")
    }
    do throws(WorkerClientError) {
      return try await WorkerClient(
        baseURL: url, token: token, timeout: settings.workerTimeout, connectionMax: 1,
        trust: HTTPTrust(authorityFile: settings.caFile), logger: logger
      ).events(of: review)
    } catch {
      throw Failure(
        .failed,
        "the worker has no events of \(review.lowercase): \(error)\nWithout --events the review itself is shown.")
    }
  }
}

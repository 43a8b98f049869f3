internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Reviews
internal import Settings
internal import WorkerAPI
internal import WorkerClient

extension Session {
  /// What the worker says about a run.
  /// - Throws: `Failure` where it cannot be asked; a review that it does not know is among them.
  func events(of review: UUID) async throws -> [RunEvent] {
    guard let url = settings.workerURL, let token = settings.workerToken else {
      throw Failure(.settings, "BATON_WORKER_URL and BATON_WORKER_TOKEN are needed to ask the worker")
    }
    let httpClient = WorkerClient.makeHTTPClient(maxConnections: 1, timeout: settings.workerTimeout)
    let answer: Result<[RunEvent], WorkerClientError>
    do throws(WorkerClientError) {
      let client = try WorkerClient(
        baseURL: url, token: token, timeout: settings.workerTimeout, httpClient: httpClient, logger: logger)
      answer = .success(try await client.events(of: review))
    } catch {
      answer = .failure(error)
    }
    // The answer is here: a connection that does not close cleanly changes nothing about it.
    try? await httpClient.shutdown()
    do throws(WorkerClientError) {
      return try answer.get()
    } catch {
      throw Failure(
        .failed,
        "the worker has no events of \(review.lowercase): \(error)\nWithout --events the review itself is shown.")
    }
  }
}

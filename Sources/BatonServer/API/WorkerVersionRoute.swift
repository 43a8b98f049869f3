internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// `GET /api/worker-versions`: failures of the last hour by the version of the worker's agent.
struct WorkerVersionRoute: Sendable {
  let store: ReviewStore

  var routes: [Route] { [Route(.get, .workerVersions, access: .api, handle: list)] }

  private struct Body: Encodable {
    var versions: [Version]
  }

  private struct Version: Encodable {
    let version: WorkerVersion

    private enum CodingKeys: String, CodingKey { case version, firstSeen, ended, failed }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(version.version, forKey: .version)
      try container.encode(version.firstSeen, forKey: .firstSeen)
      try container.encode(version.ended, forKey: .ended)
      try container.encode(version.failed, forKey: .failed)
    }
  }

  @Sendable private func list(_ call: Call) async throws -> Response {
    _ = try call.query(knowing: [])
    return .json(.ok, Body(versions: try await store.workerVersions().map { Version(version: $0) }))
  }
}

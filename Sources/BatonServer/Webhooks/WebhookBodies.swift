internal import FoundationEssentials
internal import HTTPKit
internal import Hummingbird
internal import Primitives

/// The bodies of webhooks, and the memory that they may take.
struct WebhookBodies: Sendable {
  /// The bytes of a webhook whose sender is not known yet: it is in memory while it is hashed. GitHub's events of pull requests have some 30 kB. The
  /// largest that there can be have 65,536 characters of description at up to six bytes, and a hundred labels: below 1 MiB.
  static let strangerByteCountMax = 5 << 19
  /// What GitLab sends at most, 25 MB.
  static let knownByteCountMax = 25 << 20

  /// Smaller bodies need no room: 1,024 connections (`ConnectionLimits`) times 128 KiB are 128 MiB. So the large bodies of strangers do not keep
  /// out what platforms usually send.
  private static let smallByteCountMax = 128 << 10
  /// While it is read, stored and decoded, a body takes several times its length.
  private static let weight = 4
  let strangers = BodyMemoryBudget(byteCountMax: 64 << 20)
  /// One of the longest at a time. Its sender waits, and others pass.
  let known = BodyMemoryBudget(byteCountMax: weight * knownByteCountMax)
  /// GitHub and GitLab give up after ten seconds.
  private static let arrivalTime: Duration = .seconds(10)

  /// Reads a body when there is room for it, and has that until the answer.
  func read(
    _ call: Call, upTo byteCountMax: Int, in room: BodyMemoryBudget, for peer: PeerAddress?,
    _ handle: (Data) async throws -> Response
  ) async throws -> Response {
    let byteCount = try call.announcedByteCount(upTo: byteCountMax)
    func answer() async throws -> Response {
      try await handle(try await call.body(upTo: byteCountMax, within: Self.arrivalTime))
    }
    guard byteCount > Self.smallByteCountMax else { return try await answer() }
    return try await room.hold(Self.weight * byteCount, for: peer, answer)
  }
}

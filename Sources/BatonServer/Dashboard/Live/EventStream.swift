internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews
internal import ServiceLifecycle

/// A topic as server-sent events (HTML, 9.2): after each look at it what has changed, or that nothing has, so that a page knows that it
/// is not stale, and whatever stands in between sees a connection in use.
struct EventStream: Sendable {
  let feed: LiveFeed
  let topic: Topic
  /// Whether buttons that act are left out.
  let isReadOnly: Bool
  /// Asked before each word: a session that has ended gets no more of them.
  let stillAdmits: @Sendable () async throws -> Bool

  private struct Update: Encodable {
    var now: Timestamp?
    var fault: String?
    /// Markup by the id of its element.
    var sections: [String: String]
  }

  /// A browser that lost the stream tries again after so many milliseconds.
  private static let retryMilliseconds = 3_000

  /// Ends at the server's graceful shutdown, at once, or when the browser is gone, at the next write.
  func response() -> Response {
    var headers = Page.headers
    headers[.contentType] = "text/event-stream; charset=utf-8"
    headers[.cacheControl] = "no-store"
    headers[.xContentTypeOptions] = "nosniff"
    headers[.accelBuffering] = "no"
    let body = ResponseBody { writer in
      let (id, snapshots) = try await feed.subscribe(to: topic)
      do {
        try await writer.write(ByteBuffer(string: "retry: \(Self.retryMilliseconds)\n\n"))
        var sent: [String: HTML] = [:]
        for await snapshot in snapshots.cancelOnGracefulShutdown() {
          guard let snapshot = await permitted(snapshot) else { break }
          try await writer.write(ByteBuffer(string: Self.event(snapshot, &sent)))
        }
        try await writer.finish(nil)
      } catch {
        await feed.unsubscribe(id, from: topic)
        throw error
      }
      await feed.unsubscribe(id, from: topic)
    }
    return Response(status: .ok, headers: headers, body: body)
  }

  /// What of a snapshot this visitor may see: nothing but the fault while nothing can be said about the session.
  /// - Returns: nil if the session has ended.
  private func permitted(_ snapshot: Snapshot) async -> Snapshot? {
    do {
      guard try await stillAdmits() else { return nil }
      guard isReadOnly else { return snapshot }
      var stripped = snapshot
      for index in stripped.sections.indices {
        stripped.sections[index].content = stripped.sections[index].content.withoutButtons
      }
      return stripped
    } catch {
      return Snapshot(fault: HTTPFault(error).message)
    }
  }

  /// - Parameter sent: what this browser has already.
  static func event(_ snapshot: Snapshot, _ sent: inout [String: HTML]) -> String {
    var update = Update(now: snapshot.now, fault: snapshot.fault, sections: [:])
    for section in snapshot.sections where sent.updateValue(section.content, forKey: section.id) != section.content {
      update.sections[section.id] = section.content.markup
    }
    // JSON text has no line ends, which would end the field.
    guard let text = try? JSONCoding.encode(update) else { return ": an update could not be written\n\n" }
    return "data: \(String(decoding: text, as: UTF8.self))\n\n"
  }
}

extension HTTPField.Name {
  /// Asks nginx not to buffer the stream.
  static let accelBuffering = HTTPField.Name(known: "X-Accel-Buffering")
}

internal import FoundationEssentials
internal import NIOHTTP1
package import Primitives
internal import Reviews

/// One attempt of GitHub to deliver a webhook to the app.
package struct AppWebhook: Sendable, Equatable {
  package var id: Int64
  /// The same for all attempts of one event.
  package var guid: String
  package var deliveredAt: Timestamp
  package var isRedelivery: Bool
  /// 0 if there was no answer.
  package var status: Int
  package var event: String

  package var isDelivered: Bool { (200..<300).contains(status) }
}

/// A page of a list, and where the next one begins.
package struct PlatformPage<Item: Sendable>: Sendable {
  package var items: [Item]
  /// nil at the end.
  package var next: String?
}

extension PlatformQuestions {
  private struct Delivery: Decodable, Sendable {
    var id: Int64
    var guid: String
    var delivered_at: JSONValue?
    var redelivery: Bool?
    var status_code: Int?
    var event: String?
  }

  /// Whether this process can call GitHub as the app.
  package var hasApp: Bool { github.tokens != nil }

  /// A page of what GitHub has delivered to the app, or tried to, newest first. GitHub keeps three days.
  /// - Parameter cursor: nil for the newest.
  package func appWebhooks(after cursor: String?) async -> PlatformAnswer<PlatformPage<AppWebhook>> {
    await answer { () throws(FeedbackFault) in
      let query = cursor.map { "&cursor=\($0.percentEncoded)" } ?? ""
      return try await asApp { caller throws(APIFault) in
        let answer = try await github.client.get(
          "/app/hook/deliveries?per_page=\(APIClient.pageSize)\(query)", as: caller)
        let items = try APIClient.decode([Delivery].self, from: answer.body)
        let link = answer.headers[canonicalForm: "link"].joined(separator: ",")
        return PlatformPage(
          items: items.compactMap { item in
            LenientTime.read(item.delivered_at).map {
              AppWebhook(
                id: item.id, guid: item.guid, deliveredAt: $0, isRedelivery: item.redelivery ?? false,
                status: item.status_code ?? 0, event: item.event ?? "")
            }
          }, next: LinkHeader.target(of: "next", in: link).flatMap { Self.parameter("cursor", of: $0) })
      }
    }
  }

  /// Asks GitHub to deliver once more.
  package func redeliver(_ id: Int64) async -> PlatformAnswer<Void> {
    await answer { () throws(FeedbackFault) in
      try await asApp { caller throws(APIFault) in
        _ = try await github.client.post("/app/hook/deliveries/\(id)/attempts", as: caller, [String: String]())
      }
    }
  }

  private func answer<Value: Sendable>(_ body: () async throws(FeedbackFault) -> Value) async -> PlatformAnswer<Value> {
    do {
      return .answer(try await body())
    } catch {
      return Self.answer(of: error)
    }
  }

  private func asApp<Value: Sendable>(
    _ body: (APICaller) async throws(APIFault) -> Value
  ) async throws(FeedbackFault) -> Value {
    guard let tokens = github.tokens else { throw .impossible("no GitHub App is set") }
    do {
      return try await tokens.asApp(body)
    } catch {
      throw FeedbackFault(ofApp: error)
    }
  }

  /// A parameter of an address, decoded.
  static func parameter(_ name: String, of address: String) -> String? {
    URLComponents(string: address)?.queryItems?.first { $0.name == name }?.value
  }
}

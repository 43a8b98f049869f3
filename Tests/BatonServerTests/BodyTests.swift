import Foundation
import HTTPKit
import HTTPTypes
import Primitives
import Reviews
import Testing

@testable import BatonServer
@testable import ReviewStore

@Suite("Body of a status callback")
struct CallbackBodyTests {
  private func report(_ text: String) throws(HTTPFault) -> RunReport {
    try CallbackBody.report(from: Data(text.utf8)).report
  }

  @Test("every field arrives")
  func everyField() throws {
    let report = try report(
      """
      {"status":"failed","attempt":2,"sessionId":"s","cliSessionId":"c","errorMessage":"out of memory","gateResult":"fail",
       "usage":{"model":"m","totalTokensIn":1,"totalTokensOut":2,"totalCostMicroUSD":3},"another":[1,{"x":null}]}
      """)
    #expect(
      report
        == RunReport(
          status: .failed, attempt: 2, sessionId: "s", cliSessionId: "c", errorMessage: "out of memory", model: "m",
          totalTokensIn: 1, totalTokensOut: 2, totalCostMicrousd: 3, gateResult: "fail"))
  }

  @Test("nulls count as not given, and so do empty names")
  func nulls() throws {
    let report = try report(
      #"{"status":"running","attempt":null,"sessionId":"","errorMessage":null,"gateResult":null,"usage":null}"#)
    #expect(report == RunReport(status: .running))
  }

  @Test("every fault is named at once")
  func everyFault() {
    let error = #expect(throws: HTTPFault.self) {
      try report(
        """
        {"status":"queued","attempt":-1,"sessionId":7,"cliSessionId":"a\\u0000b","errorMessage":{},"gateResult":"maybe",
         "usage":{"model":1,"totalTokensIn":-1,"totalTokensOut":1.5,"totalCostMicroUSD":1e300}}
        """)
    }
    #expect(error?.status == .unprocessableContent)
    #expect(
      error?.faults.map { String($0.prefix { $0 != ":" }) } == [
        "status", "attempt", "sessionId", "cliSessionId", "errorMessage", "gateResult", "usage.model",
        "usage.totalTokensIn", "usage.totalTokensOut", "usage.totalCostMicroUSD",
      ])
  }

  @Test("a run's end is not refused for its details, unless they say which run it is")
  func faultyDetails() throws {
    let usage = #""usage":{"model":1,"totalTokensIn":7,"totalTokensOut":-1}"#
    let details = #""gateResult":"maybe","errorMessage":{},"cliSessionId":"a\u0000b",\#(usage)"#
    let session = #""sessionId":"\#(String(repeating: "s", count: 513))""#
    for status in ["completed", "failed", "cancelled"] {
      let (report, ignored) = try CallbackBody.report(
        from: Data(#"{"status":"\#(status)","attempt":2,\#(session),\#(details)}"#.utf8))
      #expect(report.status.rawValue == status && report.attempt == 2 && report.totalTokensIn == 7)
      #expect(report.sessionId == nil && report.gateResult == nil && ignored.count == 6, "\(ignored)")
    }
    for text in [
      #"{"status":"completed",\#(session)}"#, #"{"status":"running","attempt":2,\#(details)}"#,
      #"{"status":"completed","attempt":-2}"#, #"{"status":"done","attempt":2,\#(details)}"#,
    ] {
      #expect(throws: HTTPFault.self, "\(text)") { try report(text) }
    }
  }

  @Test(
    "what is no JSON object is malformed", arguments: ["", "[]", "null", "{", "\"running\"", "\u{0}", "{\"status\":}"])
  func malformed(text: String) {
    let error = #expect(throws: HTTPFault.self) { try report(text) }
    #expect(error?.status == .badRequest)
  }

  @Test("a long error message is cut rather than refused, and loses its NULs")
  func longMessage() throws {
    let report = try report(#"{"status":"failed","errorMessage":"\u0000\#(String(repeating: "é", count: 9_000))"}"#)
    #expect(report.errorMessage?.unicodeScalars.count == CallbackBody.messageCharacterCountMax)
    #expect(report.errorMessage?.hasPrefix("\u{FFFD}é") == true)
  }

  @Test("a text that was cut within a character loses no run's end: a worker does not repeat what is refused")
  func cutMessage() throws {
    let escaped = try report(#"{"status":"failed","attempt":1,"errorMessage":"cut \ud83d","sessionId":"s\udc00"}"#)
    #expect(
      escaped == RunReport(status: .failed, attempt: 1, sessionId: "s\u{FFFD}", errorMessage: "cut \u{FFFD}"))
    var bytes = Data(#"{"status":"failed","attempt":1,"errorMessage":"cut "#.utf8)
    bytes += [0xF0, 0x9F] + Data(#""}"#.utf8)
    #expect(
      try CallbackBody.report(from: bytes).report
        == RunReport(status: .failed, attempt: 1, errorMessage: "cut \u{FFFD}"))
  }
}

@Suite("Bodies of answers")
struct AnswerBodyTests {
  static let review: Review = {
    let json = """
      {"id":"0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11","ownerType":"org","ownerId":"acme","platform":"github",
       "repoFullName":"acme/shop","prNumber":7,"prUrl":"https://github.com/acme/shop/pull/7","prTitle":"Faster",
       "prAuthor":"ann","baseRef":"main","headRef":"fast","headSha":"0123456","status":"pending","priority":0,"attempt":1,
       "availableAt":"2026-11-23T22:18:47Z","republishCount":0,"leaseLosses":0,"dispatchFailures":0,
       "createdAt":"2026-11-23T22:18:47Z","updatedAt":"2026-11-23T22:18:47Z"}
      """
    // swift-format-ignore: NeverUseForceTry
    return try! JSONDecoder().decode(Review.self, from: Data(json.utf8))
  }()

  private func object(_ value: some Encodable) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: JSONCoding.encode(value)) as? [String: Any])
  }

  @Test("a review shows every field, also those that its row lacks")
  func everyKey() throws {
    let body = try object(ReviewBody(Self.review, transitions: []))
    let fields = Mirror(reflecting: Self.review).children.compactMap(\.label)
    #expect(Set(body.keys) == Set(fields + ["transitions"]))
    #expect(body["errorCode"] is NSNull)
    #expect(body["prNumber"] as? Int == 7)
    #expect(try object(ReviewBody(Self.review))["transitions"] == nil)
  }

  @Test("ids are in lower case, as Postgres prints them")
  func ids() throws {
    var review = Self.review
    review.platformIntegrationId = review.id
    let body = try object(ReviewBody(review))
    #expect(body["id"] as? String == "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
    #expect(body["platformIntegrationId"] as? String == "0b1f9a52-6f5e-4d7c-9a43-5e1f0c6e2d11")
  }

  @Test("the first transition comes from no status")
  func transitions() throws {
    let first = ReviewTransition(
      at: Timestamp(microseconds: 0), fromStatus: nil, toStatus: .pending, reason: "submitted", actor: nil)
    let text = String(decoding: try JSONCoding.encode(ReviewBody(Self.review, transitions: [first])), as: UTF8.self)
    #expect(
      text.contains(
        #""transitions":[{"actor":null,"at":"1970-01-01T00:00:00.000000Z","fromStatus":null,"reason":"submitted","toStatus":"pending"}]"#
      ))
  }

  private static let stored = StoreStats(
    counts: [.pending: 3, .failed: 1], oldestPending: .milliseconds(1500), oldestQueued: nil, unacknowledged: 4,
    consumers: 2)

  @Test("the figures name every status, and say null for what is not there")
  func stats() throws {
    let body = StatsBody(store: Self.stored, queue: nil)
    #expect(
      String(decoding: try JSONCoding.encode(body), as: UTF8.self)
        == #"{"held":0,"oldestPendingSeconds":1.5,"oldestQueuedSeconds":null,"problems":[],"queue":null,"reviews":{"cancelled":0,"completed":0,"failed":1,"pending":3,"queued":0,"running":0},"stalledSeconds":null}"#
    )
    #expect(try JSONDecoder().decode(StatsBody.self, from: JSONCoding.encode(body)) == body)
  }

  @Test("the queue's figures come from the broker, those of the deliveries from the consumers")
  func queue() throws {
    let body = StatsBody(store: Self.stored, queue: QueueFigures(name: "q", ready: 5, consumers: 9, dead: 6))
    let queue = try #require(try object(body)["queue"] as? [String: Any])
    #expect(queue["name"] as? String == "q")
    #expect(
      queue.filter { $0.key != "name" } as? [String: Int] == [
        "ready": 5, "unacknowledged": 4, "consumers": 9, "dead": 6,
      ])
  }

  @Test(
    "dead letters are named with what to do",
    arguments: [(1, "There is a dead letter"), (6, "There are 6 dead letters")])
  func deadLetters(count: Int, title: String) {
    let body = StatsBody(store: Self.stored, queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: count))
    #expect(body.problems.map(\.title) == [title] && body.problems[0].advice.contains("`baton dead list`"))
    let none = StatsBody(store: Self.stored, queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 0))
    #expect(none.problems.isEmpty)
  }
}

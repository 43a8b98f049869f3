import FoundationEssentials
import Primitives
import Reviews
import Testing
import WorkerAPI

private let id = UUID()

@Suite("Answers of the worker")
struct AnswerTests {
  @Test(
    "an answer of any JSON form is read",
    arguments: [
      #"{"reviewId":"ID","status":"queued"}"#, " {\n \"status\" : \"queued\" , \"reviewId\" : \"ID\" }\n",
      #"{"reviewId":"ID","status":"queued","agentVersion":null,"extra":{"a":[1,2]}}"#,
      #"{"reviewId":"ID","status":"queued","note":"a \"quoted\" word"}"#, #"{"reviewId":"ID","status":"queu\u0065d"}"#,
    ])
  func readsAnswers(text: String) {
    for spelled in [id.uuidString, id.lowercase] {
      let json = Array(text.replacing("ID", with: spelled).utf8)
      #expect(StartResponse(json: json) == StartResponse(reviewId: id, status: .queued))
    }
  }

  @Test(
    "what is not the contract's JSON is refused",
    arguments: [
      "", "{}", "null", "[]", "queued", #"{"reviewId":"ID"}"#, #"{"status":"queued"}"#,
      #"{"reviewId":"x","status":"queued"}"#,
      #"{"reviewId":"ID","status":""}"#, #"{"reviewId":"ID","status":7}"#,
      #"{"reviewId":"ID","status":"queued"} trailing"#,
      #"{"reviewId":"ID","status":"queued""#, #"{"reviewId":"ID","status":"queued",}x"#,
    ])
  func refusesOthers(text: String) {
    #expect(StartResponse(json: Array(text.replacing("ID", with: id.lowercase).utf8)) == nil)
  }

  @Test("invalid UTF-8 is refused")
  func refusesInvalidText() {
    #expect(StartResponse(json: Array(#"{"reviewId":"\#(id.lowercase)","status":""#.utf8) + [0xFF, 0x22, 0x7D]) == nil)
  }

  @Test("what is written is read again")
  func roundTrip() throws {
    for state in [RunState.queued, .running, .buffering, .completed, .failed, .cancelled, .other("new \"word\"")] {
      let response = StartResponse(reviewId: id, status: state, agentVersion: "v\\1")
      #expect(StartResponse(json: response.encode()) == response)
      let status = RunStatus(
        reviewId: id, attempt: 2, status: state, sessionId: "s", startedAt: Timestamp(microseconds: 1_000_000),
        errorMessage: "e", gateResult: .fail, usage: Usage(model: "m", totalTokensIn: 1))
      #expect(try JSONDecoder().decode(RunStatus.self, from: JSONEncoder().encode(status)) == status)
    }
  }

  @Test("an unknown status means that the run goes on, and changes nothing in the row")
  func unknownState() {
    #expect(RunState(rawValue: "warming").reviewStatus == .queued)
    #expect(!RunState(rawValue: "warming").isTerminal)
    #expect(RunState(rawValue: "cancelled") == .cancelled)
  }

  @Test("a malformed detail does not hide that a run is known")
  func toleratesDetails() throws {
    let json =
      #"{"reviewId":"\#(id)","attempt":1,"status":"running","startedAt":"yesterday","usage":7,"sessionId":["x"]}"#
    let status = try JSONDecoder().decode(RunStatus.self, from: Data(json.utf8))
    #expect(status == RunStatus(reviewId: id, attempt: 1, status: .running))
  }
}

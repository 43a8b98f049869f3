import FoundationEssentials
import Primitives
import Reviews
import Testing

@Suite("Review")
struct ReviewTests {
  @Test("only a retry leaves an end, and nothing comes back to queued")
  func transitions() {
    for status in ReviewStatus.allCases where status.isTerminal {
      let next = ReviewStatus.allCases.filter { status.canBecome($0) }
      #expect(next == (status == .completed ? [] : [.pending]))
    }
    #expect(ReviewStatus.allCases.filter { $0.canBecome(.queued) } == [.pending])
  }

  @Test(
    "times are printed and read to the microsecond",
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
      (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
      (4_107_542_399_000_001, "2100-02-28T23:59:59.000001Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
    ])
  func timestamps(microseconds: Int64, text: String) {
    #expect(Timestamp(microseconds: microseconds).description == text)
    #expect(Timestamp(text) == Timestamp(microseconds: microseconds))
  }

  @Test(
    "what is no RFC 3339 time is refused",
    arguments: [
      "", "2025", "2025-13-01T00:00:00Z", "2025-01-01T00:00:00", "2025-01-01T00:00:00.Z", "2025-01-01T25:00:00Z",
      "2025-01-01T00:00:00Zx",
    ])
  func notTimes(text: String) { #expect(Timestamp(text) == nil) }

  @Test("trace contexts are read as W3C says, and refused otherwise")
  func traces() throws {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let trace = try #require(TraceContext(traceparent: header))
    #expect(trace.traceparent == header)
    #expect(trace.child().traceID == trace.traceID)
    #expect(trace.child().spanID != trace.spanID)
    #expect(TraceContext(traceparent: TraceContext().traceparent) != nil)
    for bad in [
      "", "00-0-0-01", "ff" + header.dropFirst(2), header.uppercased(),
      "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01",
    ] {
      #expect(TraceContext(traceparent: bad) == nil, "\(bad)")
    }
  }

  @Test("an owner is type and id; the id may hold colons")
  func owners() {
    #expect(Owner("org:acme:eu") == Owner(type: .org, id: "acme:eu"))
    #expect(Owner("org:") == nil && Owner("acme") == nil && Owner("team:x") == nil)
  }

  private let good = """
    {"owner":{"type":"org","id":"acme"},"platform":"github","repoFullName":"acme/shop","prNumber":42,
    "prUrl":"https://github.com/acme/shop/pull/42","prTitle":"","prAuthor":"ada","baseRef":"main","headRef":"f",
    "headSha":"0123ABCD"}
    """

  @Test("a submitted review is read, and its commit is lower case")
  func submitted() throws {
    let review = try NewReview(json: Data(good.utf8))
    #expect(review.headSha == "0123abcd")
    #expect(review.prNumber == 42)
  }

  @Test("every fault of a submitted review is named, each with its field")
  func faults() throws {
    let json =
      #"{"owner":{"type":"team"},"platform":"svn","repoFullName":"../..","prNumber":0,"prUrl":"ftp://x","prTitle":7,"#
      + #""prAuthor":"","baseRef":null,"headSha":"x y","priority":99999,"platformIntegrationId":"no"}"#
    do {
      _ = try NewReview(json: Data(json.utf8))
      Issue.record("read")
    } catch {
      for field in [
        "owner.type", "owner.id", "platform", "repoFullName", "prNumber", "prUrl", "prTitle", "prAuthor", "baseRef",
        "headRef", "headSha", "priority", "platformIntegrationId",
      ] {
        #expect(error.faults.contains { $0.hasPrefix("\(field):") }, "\(field) in \(error.faults)")
      }
      #expect(!error.isMalformed)
    }
    #expect(throws: NewReviewFaults(isMalformed: true, faults: ["not valid JSON"])) {
      try NewReview(json: Data("{".utf8))
    }
  }

  @Test("an oversized field is named with its size")
  func oversized() {
    let long = good.replacing("\"ada\"", with: "\"\(String(repeating: "a", count: 600))\"")
    #expect(throws: NewReviewFaults(isNameRefused: true, faults: ["prAuthor: 600 bytes, at most 512 are allowed"])) {
      try NewReview(json: Data(long.utf8))
    }
  }

  @Test("a configuration has defaults, ignores what it does not know, and names every bad value")
  func configuration() throws {
    let empty = try ReviewConfiguration(json: #"{"future":1}"#)
    #expect(empty == ReviewConfiguration())
    #expect(empty.maxReviewTimeMinutes == 10)
    let full = try ReviewConfiguration(
      json:
        #"{"review_style":"roast","focus_areas":["bugs"],"max_review_time_minutes":30,"selected_repository_ids":[1,"2"]}"#
    )
    #expect(full.style == .roast && full.focusAreas == [.bugs] && full.selectedRepositoryIDs == ["1", "2"])
    do {
      _ = try ReviewConfiguration(
        json: #"{"review_style":"mild","focus_areas":["x"],"max_review_time_minutes":31,"gate_threshold":1}"#)
      Issue.record("read")
    } catch {
      #expect(error.faults.count == 4, "\(error)")
    }
  }
}

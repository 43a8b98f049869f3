import FoundationEssentials
import Primitives
import Reviews
import Telemetry
import Testing
import WorkerAPI
import WorkerClient

@testable import ReferenceWorker

@Suite("Routes of the reference worker")
struct WorkerRouteTests {
  @Test("every call except /health needs the token")
  func token() async throws {
    try await TestWorker.run { worker in
      #expect(try await worker.raw("GET", "/health", token: nil).status == 200)
      let id = UUID().lowercase
      for wrong in [nil, "", "sesame-open-4712", "sesame"] {
        for (method, path) in [
          ("POST", "/review"), ("GET", "/reviews/\(id)"), ("GET", "/reviews/\(id)/events"),
          ("POST", "/reviews/\(id)/cancel"),
        ] {
          let answer = try await worker.raw(method, path, token: wrong)
          #expect(answer.status == 401 && answer.error != nil)
        }
      }
    }
  }

  @Test("every answer is counted by the template of its path and its status, never by the path")
  func counts() async throws {
    let registry = PrometheusRegistry()
    try await TestWorker.run({ $0.metrics = BatonMetrics(factory: registry) }) { worker in
      let request = startRequest()
      let id = request.reviewId.lowercase
      _ = try await worker.raw("GET", "/health", token: nil)
      _ = try await worker.raw("POST", "/review", body: request.encode())
      _ = try await worker.raw("POST", "/review", token: "wrong")
      for path in ["/reviews/\(id)", "/reviews/\(UUID().lowercase)", "/reviews/\(id)/events", "/secret-\(id)"] {
        _ = try await worker.raw("GET", path)
      }
      _ = try await worker.raw("POST", "/reviews/\(id)/cancel", body: Array("[1]".utf8))
    }
    let text = registry.exposition()
    for (route, status) in [
      ("/health", 200), ("/review", 202), ("/review", 401), ("/reviews/{id}", 200), ("/reviews/{id}", 404),
      ("/reviews/{id}/events", 200), ("/reviews/{id}/cancel", 400), ("other", 404),
    ] {
      let labels = "route=\"\(route)\",status=\"\(status)\""
      #expect(text.contains("baton_http_requests_total{\(labels)} 1\n"), "\(labels)")
    }
    #expect(!text.contains("secret"))
  }

  @Test("a malformed start is answered with 400, and every fault is named")
  func faults() async throws {
    try await TestWorker.run { worker in
      #expect(try await worker.raw("POST", "/review", body: Array("nonsense".utf8)).error == "not a JSON object")
      #expect(try await worker.raw("POST", "/review", body: Array("[]".utf8)).status == 400)
      let body =
        #"{"reviewId":"x","attempt":"one","sessionInput":{"prompt":1,"platform":"svn"},"owner":{"type":"org"}}"#
      let answer = try await worker.raw("POST", "/review", body: Array(body.utf8))
      #expect(answer.status == 400)
      for fault in [
        "reviewId: expected a UUID", "attempt: expected a whole number", "maxReviewTimeMinutes: missing",
        "authToken: missing", "sessionInput.prompt: expected a string", "sessionInput.model: missing",
        "sessionInput.platform: expected github or gitlab", "owner.id: missing",
      ] { #expect(answer.error?.contains(fault) == true, "\(fault) in \(answer.error ?? "")") }
      var values = startRequest(attempt: 0, minutes: 0)
      values.sessionInput.gitUrl = "https://gitlab.com/a/b.git"
      let second = try await worker.raw(
        "POST", "/review", body: values.encode(), headers: [("Idempotency-Key", "other/1")])
      #expect(second.status == 400)
      for fault in ["attempt:", "maxReviewTimeMinutes:", "sessionInput:", "Idempotency-Key:"] {
        #expect(second.error?.contains(fault) == true, "\(fault) in \(second.error ?? "")")
      }
    }
  }

  @Test(
    "a branch or repository that could be an option of a command is answered with 400",
    arguments: [("--upload-pack=x", "acme/shop"), ("feature..x", "acme/shop"), ("feature", "-x/shop")])
  func names(branch: String, repository: String) async throws {
    try await TestWorker.run { worker in
      var values = startRequest()
      (values.sessionInput.upstreamBranch, values.sessionInput.githubRepo) = (branch, repository)
      let answer = try await worker.raw("POST", "/review", body: values.encode())
      #expect(answer.status == 400 && answer.error?.contains("sessionInput.") == true, "\(answer.error ?? "")")
    }
  }

  @Test("a start over 4 MiB is answered with 413")
  func tooLarge() async throws {
    try await TestWorker.run { worker in
      let body = [UInt8](repeating: 32, count: StartRequest.byteCountMax + 1)
      let answer = try await worker.raw("POST", "/review", body: body)
      #expect(answer.status == 413 && answer.error != nil)
    }
  }

  @Test("an older attempt is answered with 409, and an unknown review or route with 404")
  func conflictAndUnknown() async throws {
    try await TestWorker.run { worker in
      let id = UUID()
      #expect(await worker.start(startRequest(id, attempt: 2)).isDispatched)
      let older = try await worker.raw("POST", "/review", body: startRequest(id, attempt: 1).encode())
      #expect(older.status == 409 && older.error?.contains("attempt 2") == true)
      for path in ["/reviews/\(UUID().lowercase)", "/reviews/\(UUID().lowercase)/events", "/reviews/none", "/none"] {
        let answer = try await worker.raw("GET", path)
        #expect(answer.status == 404 && answer.error != nil)
      }
      #expect(try await worker.raw("POST", "/reviews/\(id.lowercase)/cancel", body: Array("[1]".utf8)).status == 400)
      #expect(try await worker.raw("POST", "/reviews/\(id.lowercase)/cancel").status == 200)
    }
  }
}

extension DispatchOutcome {
  var isDispatched: Bool { if case .dispatched = self { true } else { false } }
}

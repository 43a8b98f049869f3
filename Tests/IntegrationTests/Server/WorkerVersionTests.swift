import Foundation
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Server: versions of the worker")
struct WorkerVersionTests {
  @Test(
    "failures of the last hour are counted by the worker's version, and the page names the deploy that began them"
  )
  func versions() async throws {
    try await withServerStack { stack in
      for number in 1...12 { _ = try await stack.submit("abc\(number)") }
      try await stack.run(
        """
        UPDATE code_reviews
           SET status = 'queued', claimed_at = now(), published_at = now(),
               dispatched_at = now() - CASE WHEN length(head_sha) > 4 THEN interval '10 min' ELSE interval '3 h' END,
               agent_version = CASE WHEN length(head_sha) > 4 THEN 'v2' ELSE 'v1' END
        """)
      try await stack.run(
        "UPDATE code_reviews SET status = CASE agent_version WHEN 'v2' THEN 'failed' ELSE 'completed' END"
      )
      let versions = try await stack.store.workerVersions()
      #expect(
        versions.map(\.version) == ["v2", "v1"] && versions.map(\.failed) == [3, 0]
          && versions.map(\.ended) == [3, 9])
      let body = try await stack.client.send("GET", "/api/worker-versions").object
      #expect((body["versions"] as? [[String: Any]])?.first?["failed"] as? Int == 3)
      let page = try await stack.client.send("GET", "/").body
      #expect(page.contains("3 of 3 reviews of worker version v2 failed"))
    }
  }
}

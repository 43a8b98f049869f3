import Foundation
import Primitives
import ReviewStore
import Support
import Testing

@Suite("baton endpoint, from outside", .timeLimit(.minutes(5)))
struct EndpointCommandTests {
  @Test("what an endpoint did not get is sent again only while it is enabled, and the command says so")
  func retryOfDisabled() async throws {
    try await withTestCluster { cluster in
      let id = try await cluster.test.store.addEndpoint("https://hooks.example.com/x", owner: nil) { _ in [0] }
        .lowercase
      _ = try await cluster.test.insert(1)
      try await cluster.test.sql("UPDATE code_reviews SET status = 'cancelled'")
      try await cluster.test.sql("UPDATE baton_events SET due_at = NULL, given_up_at = now()")
      #expect(try await cluster.run("endpoint", "disable", id).status == 0)
      let refused = try await cluster.run("endpoint", "retry", id)
      #expect(refused.status == 1 && refused.output.contains("`baton endpoint enable"), "\(refused)")
      #expect(try await cluster.test.store.endpoints().first?.givenUp == 1)
      #expect(try await cluster.run("endpoint", "enable", id).status == 0)
      let done = try await cluster.run("endpoint", "retry", id)
      #expect(done.status == 0 && done.output.contains("1 event is sent again"), "\(done)")
      // As its 410 leaves it.
      try await cluster.test.sql("UPDATE baton_endpoints SET is_enabled = false, last_error = 'it answered 410'")
      let queue = try await cluster.run("queue")
      #expect(queue.output.contains("https://hooks.example.com/x wants no more events"), "\(queue)")
      #expect(queue.output.contains("it answered 410") && queue.output.contains("baton endpoint enable"), "\(queue)")
    }
  }
}

import HTTPKit
import NIOCore
import Primitives
import Reviews
import Support
import Testing

@testable import ReferenceWorker

/// The port has the limits of Baton's other ports; these show that it has them.
@Suite("Port of the reference worker")
struct WorkerPortTests {
  private func client(_ worker: TestWorker) throws -> RawHTTPClient {
    RawHTTPClient(port: try #require(worker.url.split(separator: ":").last.flatMap { Int($0) }))
  }

  @Test("a head that comes byte by byte is not waited for, nor is such a body of a request without the token")
  func dribbles() async throws {
    try await TestWorker.run({
      $0.connections.head = .milliseconds(800)
      $0.connections.body = .milliseconds(800)
      $0.connections.drain = .milliseconds(800)
    }) { worker in
      let client = try client(worker)
      #expect(try await client.dribble("GET /health HTTP/1.1\r\nHost: a\r\nX: ", every: .milliseconds(100)).isEmpty)
      let body = "POST /review HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
      #expect(try await client.dribble(body, every: .milliseconds(100)).contains("401"))
      let authorized =
        "POST /review HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token.reveal())\r\nContent-Length: 1000\r\n\r\n"
      #expect(try await client.dribble(authorized, every: .milliseconds(100)).isEmpty)
    }
  }

  @Test("connections that send nothing keep out no request")
  func crowd() async throws {
    try await TestWorker.run({
      $0.connections.connectionMax = 8
      $0.connections.head = .seconds(3_600)
    }) { worker in
      let client = try client(worker)
      var held: [any Channel] = []
      for _ in 0..<40 { held.append(try await client.connect()) }
      #expect(try await client.send("GET", "/health").status == 200)
      for channel in held { channel.close(promise: nil) }
    }
  }
}

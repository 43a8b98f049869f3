import AsyncHTTPClient
import Foundation
import HTTPTrust
import Primitives
import Reviews
import Support
import Testing

@testable import ReferenceWorker

@Suite("Callbacks with TLS", .timeLimit(.minutes(2)))
struct CallbackTLSTests {
  @Test("a callback trusts a private authority if the setting names it, and says what is wrong otherwise")
  func privateAuthority() async throws {
    try await withTestCertificates { files in
      let server = try await TLSServer(certificate: files.path("server.pem"), key: files.path("server.key"))
      /// Each time with the connections of a process of its own.
      func send(_ trust: HTTPTrust) async throws -> CallbackAnswer {
        let httpClient = CallbackClient.makeHTTPClient(maxConnections: 2, trust: trust)
        let answer = await CallbackClient(
          baseURL: "https://localhost:\(server.port)", secret: Secret("hunter2"), httpClient: httpClient, trust: trust
        ).send(
          PendingCallback(
            number: 1, key: RunKey(reviewID: UUID(), attempt: 1), status: "running", body: Array("{}".utf8),
            authToken: nil,
            trace: nil))
        try await httpClient.shutdown()
        return answer
      }
      #expect(try await send(HTTPTrust(authorityFile: files.path("ca.pem"))) == .accepted)
      #expect(server.requestCount == 1)
      guard case .failed(let text) = try await send(HTTPTrust()) else {
        Issue.record("a certificate that is not trusted was accepted")
        return
      }
      #expect(
        text.contains("CN=test authority, which is not trusted: set BATON_CA_FILE") && !text.contains("hunter2"),
        "\(text)")
      #expect(server.requestCount == 1)
      try await server.stop()
    }
  }
}

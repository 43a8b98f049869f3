import AsyncHTTPClient
import Foundation
import HTTPTrust
import NIOHTTP1
import NIOSSL
import Primitives
import Resilience
import Reviews
import Support
import Testing

@testable import Platforms

@Suite("Platforms with TLS", .timeLimit(.minutes(3)))
struct PlatformTLSTests {
  private func client(_ url: String, _ trust: HTTPTrust, _ httpClient: HTTPClient) throws -> APIClient {
    APIClient(
      base: try #require(APIBase(url)), httpClient: httpClient, timeout: .seconds(20),
      deadlines: TimedOperations(0),
      clock: PlatformClock({ Date() }), limits: RateLimits(), answers: AnswerCache(), trust: trust)
  }

  @Test("a private authority is trusted if the setting names it, and the system's as well")
  func privateAuthority() async throws {
    try await withTestCertificates { files in
      let server = try await TLSServer(
        certificate: files.path("server.pem"), key: files.path("server.key"), body: "{\"a\":1}")
      let httpClient = PlatformAccess.makeHTTPClient(connectionMax: 2)
      let caller = APICaller(headers: [:], token: nil)
      let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
      for host in ["localhost", "127.0.0.1"] {
        let answer = try await client("https://\(host):\(server.port)", trust, httpClient).get("/x", as: caller)
        #expect(answer.body == Data("{\"a\":1}".utf8))
      }
      // The system's own are still there: a public GitHub next to a private GitLab.
      #expect(trust.clientConfiguration.trustRoots == HTTPTrust().clientConfiguration.trustRoots)
      let fault = await #expect(throws: APIFault.self) {
        _ = try await client("https://localhost:\(server.port)", HTTPTrust(), httpClient).get("/x", as: caller)
      }
      guard case .unreachable(let message) = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
      #expect(message.contains("CN=test authority, which is not trusted: set BATON_CA_FILE"), "\(message)")
      try await httpClient.shutdown()
      try await server.stop()
    }
  }

  @Test("a wrong host, and an expired certificate, are unreachable hosts with the reason")
  func refused() async throws {
    try await withTestCertificates { files in
      for (certificate, text) in [
        ("elsewhere.pem", "is for elsewhere.example, 10.9.8.7, not for localhost"), ("expired.pem", "has expired on"),
      ] {
        let server = try await TLSServer(certificate: files.path(certificate), key: files.path("server.key"))
        let httpClient = PlatformAccess.makeHTTPClient(connectionMax: 2)
        let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
        let fault = await #expect(throws: APIFault.self) {
          _ = try await client("https://localhost:\(server.port)", trust, httpClient)
            .get("/x", as: APICaller(headers: [:], token: Secret("hunter2")))
        }
        #expect("\(fault.map { "\($0)" } ?? "")".contains(text), "\(String(describing: fault))")
        #expect(server.requestCount == 0)
        try await httpClient.shutdown()
        try await server.stop()
      }
    }
  }

  @Test("tokens go by plain http to this machine only, whatever the platform")
  func plaintext() {
    for (url, isRefused) in [
      ("http://github.example.com", true), ("http://127.0.0.1.example.com", true), ("http://10.0.0.1", true),
      ("http://127.0.0.1:9", false), ("http://[::1]:9", false), ("http://localhost", false),
      ("https://github.example.com", false),
    ] {
      let settings = PlatformSettings(githubAPIURL: url, encryptionKeys: [Samples.key])
      let faults = (try? settings.checked()) == nil
      #expect(faults == isRefused, "\(url)")
      let host = URLComponents(string: url)?.percentEncodedHost ?? ""
      #expect(((try? GitLabHosts([host]).instance(at: url)) == nil) == isRefused, "\(url)")
    }
  }
}

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
  /// Gets `/x` from a server, each time with the connections of a process of its own.
  private func get(
    _ url: String, _ trust: HTTPTrust, as caller: APICaller = APICaller(headers: [:], token: nil)
  ) async throws -> APIAnswer {
    let httpClient = PlatformAccess.makeHTTPClient(connectionMax: 2, trust: trust)
    let client = APIClient(
      base: try #require(APIBase(url)), httpClient: httpClient, timeout: .seconds(20),
      deadlines: TimedOperations(0),
      clock: PlatformClock({ Date() }), limits: RateLimits(), answers: AnswerCache(), trust: trust)
    let result: Result<APIAnswer, APIFault>
    do {
      result = .success(try await client.get("/x", as: caller))
    } catch {
      result = .failure(error)
    }
    try await httpClient.shutdown()
    return try result.get()
  }

  @Test("a private authority is trusted if the setting names it, and the system's as well")
  func privateAuthority() async throws {
    try await withTestCertificates { files in
      let server = try await TLSServer(
        certificate: files.path("server.pem"), key: files.path("server.key"), body: "{\"a\":1}")
      let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
      for host in ["localhost", "127.0.0.1"] {
        let answer = try await get("https://\(host):\(server.port)", trust)
        #expect(answer.body == Data("{\"a\":1}".utf8))
      }
      // The system's own are still there: a public GitHub next to a private GitLab.
      #expect(trust.clientConfiguration.trustRoots == HTTPTrust().clientConfiguration.trustRoots)
      let fault = await #expect(throws: APIFault.self) {
        _ = try await get("https://localhost:\(server.port)", HTTPTrust())
      }
      guard case .unreachable(let message) = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
      #expect(message.contains("CN=test authority, which is not trusted: set BATON_CA_FILE"), "\(message)")
      try await server.stop()
    }
  }

  @Test("a file of authorities that is replaced counts for the calls that follow")
  func replacedAuthority() async throws {
    try await withTestCertificates { files in
      let server = try await TLSServer(
        certificate: files.path("server.pem"), key: files.path("server.key"), body: "{\"a\":1}")
      let (file, url) = (files.path("authorities.pem"), "https://localhost:\(server.port)")
      try FileManager.default.copyItem(atPath: files.path("elsewhere.pem"), toPath: file)
      let trust = HTTPTrust(authorityFile: file)
      await #expect(throws: APIFault.self) { _ = try await get(url, trust) }
      #expect(trust.replacement == nil)
      try FileManager.default.removeItem(atPath: file)
      try FileManager.default.copyItem(atPath: files.path("ca.pem"), toPath: file)
      #expect(try await get(url, trust).body == Data("{\"a\":1}".utf8))
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
        let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
        let fault = await #expect(throws: APIFault.self) {
          _ = try await get(
            "https://localhost:\(server.port)", trust, as: APICaller(headers: [:], token: Secret("hunter2")))
        }
        #expect("\(fault.map { "\($0)" } ?? "")".contains(text), "\(String(describing: fault))")
        #expect(server.requestCount == 0)
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

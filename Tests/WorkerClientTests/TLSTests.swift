import Foundation
import HTTPTrust
import Logging
import NIOSSL
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI

@testable import WorkerClient

@Suite("A worker with TLS", .timeLimit(.minutes(3)))
struct WorkerTLSTests {
  private func start(
    _ url: String, trust: HTTPTrust, id: UUID = UUID()
  ) async throws -> DispatchOutcome {
    try await WorkerClient(
      baseURL: url, token: token, timeout: .seconds(20), connectionMax: 4, trust: trust, logger: Logger(label: "test")
    ).start(startRequest(id))
  }

  /// Runs the body with a server that has one of the certificates, and accepts the start of a review.
  private func withServer<Result>(
    _ files: TestCertificates, _ certificate: String, key: String = "server.key", clientAuthority: String? = nil,
    newest: TLSVersion? = nil, id: UUID = UUID(), _ body: (TLSServer) async throws -> Result
  ) async throws -> Result {
    let server = try await TLSServer(
      certificate: files.path(certificate), key: files.path(key),
      clientAuthority: clientAuthority.map { files.path($0) }, newest: newest, status: 202,
      body: #"{"reviewId":"\#(id.uuidString.lowercased())","status":"queued"}"#)
    let result = try await body(server)
    try await server.stop()
    return result
  }

  @Test("a private authority is trusted if the setting names it, by name and by IP address, and not otherwise")
  func privateAuthority() async throws {
    try await withTestCertificates { files in
      let id = UUID()
      try await withServer(files, "server.pem", id: id) { server in
        let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
        for host in ["localhost", "127.0.0.1"] {
          let outcome = try await start("https://\(host):\(server.port)", trust: trust, id: id)
          #expect(outcome.kind == .dispatched, "\(outcome)")
        }
        let refused = try await start("https://localhost:\(server.port)", trust: HTTPTrust(), id: id)
        #expect(refused.kind == .unavailable)
        #expect(
          refused.message.contains("signed by CN=test authority, which is not trusted: set BATON_CA_FILE"), "\(refused)"
        )
        #expect(server.requestCount == 2)
      }
    }
  }

  static let refusals: [(certificate: String, key: String, host: String, text: String)] = [
    ("other-server.pem", "server.key", "localhost", "signed by CN=other authority, which is not trusted"),
    ("elsewhere.pem", "server.key", "localhost", "is for elsewhere.example, 10.9.8.7, not for localhost"),
    ("elsewhere.pem", "server.key", "127.0.0.1", "is for elsewhere.example, 10.9.8.7, not for 127.0.0.1"),
    ("expired.pem", "server.key", "localhost", "CN=localhost has expired on 20"),
    ("future.pem", "server.key", "localhost", "is valid only from 2099-01-01 00:00 UTC on"),
    ("self-signed.pem", "self-signed.key", "localhost", "CN=localhost is self-signed and not trusted"),
  ]

  @Test(
    "a certificate that is not right is an outage that was never sent, and the message says what is wrong",
    arguments: refusals)
  func refused(certificate: String, key: String, host: String, text: String) async throws {
    try await withTestCertificates { files in
      try await withServer(files, certificate, key: key) { server in
        let outcome = try await start(
          "https://\(host):\(server.port)", trust: HTTPTrust(authorityFile: files.path("ca.pem")))
        #expect(outcome.kind == .unavailable && outcome.message.contains(text), "\(outcome)")
        #expect(!outcome.message.contains("NIOSSL") && server.requestCount == 0)
      }
    }
  }

  @Test("a server that offers only old versions, or wants a client certificate, is named so")
  func handshakes() async throws {
    try await withTestCertificates { files in
      let trust = HTTPTrust(authorityFile: files.path("ca.pem"))
      try await withServer(files, "server.pem", newest: .tlsv11) { server in
        let outcome = try await start("https://localhost:\(server.port)", trust: trust)
        #expect(outcome.kind == .unavailable && outcome.message.contains("TLS 1.2 or later is needed"), "\(outcome)")
      }
      try await withServer(files, "server.pem", clientAuthority: "ca.pem") { server in
        let outcome = try await start("https://localhost:\(server.port)", trust: trust)
        #expect(outcome.kind == .unavailable && outcome.message.contains("client certificate"), "\(outcome)")
      }
    }
  }

  @Test("TLS to a port without it is named so")
  func plaintextPort() async throws {
    let worker = try await ScriptedWorker(token: "t")
    let url = worker.url.replacing("http://", with: "https://")
    let outcome = try await start(url, trust: HTTPTrust())
    #expect(outcome.kind == .unavailable && outcome.message.contains("does not speak TLS"), "\(outcome)")
    await worker.stop()
  }

  @Test(
    "an authority file that is replaced counts from the next connection on, and one that is damaged changes nothing")
  func rotation() async throws {
    try await withTestCertificates { files in
      let id = UUID()
      let path = try files.write(files.text("other-ca.pem"), to: "rotated.pem")
      try await withServer(files, "server.pem", id: id) { server in
        let trust = HTTPTrust(authorityFile: path)
        let client = try WorkerClient(
          baseURL: "https://localhost:\(server.port)", token: token, timeout: .seconds(20), connectionMax: 4,
          trust: trust,
          logger: Logger(label: "test"))
        #expect(await client.start(startRequest(id)).kind == .unavailable)
        _ = try files.write(files.text("other-ca.pem") + files.text("ca.pem"), to: "rotated.pem")
        #expect(await client.start(startRequest(id)).kind == .dispatched)
        let version = trust.current.version
        _ = try files.write("half a fi", to: "rotated.pem")
        #expect(trust.current.version == version)
      }
    }
  }
}

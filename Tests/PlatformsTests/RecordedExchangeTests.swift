import CryptoExtras
import Foundation
import Primitives
import Reviews
import Sandbox
import Testing

@testable import Platforms

/// Exchanges as they were recorded (`Fixtures`: from PyGithub's replay data), played over HTTP.
@Suite("Recorded exchanges")
struct RecordedExchangeTests {

  /// The recorded answer as what a route answers.
  private static func fault(_ name: String, route: FakeRoute, api: String) throws -> FakeFault {
    let file = try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: "json"))
    let exchange = try JSONDecoder().decode(JSONValue.self, from: Data(contentsOf: file))
    guard case .integer(let status)? = exchange["response"]?["status"],
      case .object(let headers)? = exchange["response"]?["headers"], let body = exchange["response"]?["body"]
    else { throw CocoaError(.fileReadCorruptFile) }
    let text = String(decoding: try JSONEncoder().encode(body), as: UTF8.self)
    return FakeFault(
      route: route, times: 1, status: Int(status), headers: headers.compactMapValues(\.string),
      body: text.replacing("https:\\/\\/api.github.com", with: api).replacing("https://api.github.com", with: api))
  }

  @Test(
    "GitHub's answer to the request for a token decides",
    arguments: [("401", "transient"), ("404", "integrationRevoked"), ("422", "platformRefused")])
  func token(_ status: String, _ meaning: String) async throws {
    try await FakePlatformHarness.run { harness in
      let preparer = try harness.preparer(app: (id: "12345", key: Secret(AppKey.sample.pemRepresentation)))
      // The app is the right one: it has got the token of another installation.
      _ = try await preparer.prepare(
        Samples.review(integration: Integration(id: Samples.integrationID, installationId: "7")))
      harness.fakePlatform.add(
        try Self.fault("installation-token-\(status)", route: .githubInstallationToken, api: harness.address))
      let review = Samples.review(integration: Integration(id: Samples.integrationID, installationId: "30614431"))
      let error = await #expect(throws: PreparationError.self) { try await preparer.prepare(review) }
      #expect(error.map { String(describing: $0).contains(meaning) } == true, "\(String(describing: error))")
    }
  }

  @Test("a renamed repository's answer is followed also if only its body says where to")
  func renamed() async throws {
    try await FakePlatformHarness.run { harness in
      var fault = try Self.fault("renamed-301", route: .githubPull, api: harness.address)
      fault.body = fault.body?.replacing("repositories/146139403", with: "repositories/146139403/pulls/5")
      fault.body = fault.body?.replacing(#"repositories\/146139403"#, with: #"repositories\/146139403\/pulls\/5"#)
      harness.fakePlatform.add(fault)
      let payload = try await harness.preparer().prepare(Samples.review(number: 5))
      #expect(String(decoding: payload.body, as: UTF8.self).contains("ReDASers/PhishBench"))
      #expect(harness.fakePlatform.callCounts[.githubPull] == 2)
    }
  }
}

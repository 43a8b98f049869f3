import Foundation
import Platforms
import PostgresClient
import Primitives
import Reviews
import Support
import Testing

/// What an operator does before the first review, and long after the last.
@Suite("Commands that set up and clean up", .timeLimit(.minutes(5)))
struct SetUpCommandTests {
  private static let key = [UInt8](repeating: 7, count: 32)

  /// Runs the body with the path of a file that holds the text.
  private func withFile<Result>(_ text: String, _ body: (String) async throws -> Result) async throws -> Result {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).txt")
    try Data(text.utf8).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try await body(url.path)
  }

  /// The id that a line of `baton integration add` begins with.
  private func id(_ output: String) throws -> UUID { try #require(UUID(uuidString: String(output.prefix(36)))) }

  @Test("a GitLab token is stored so that only the key opens it, and is shown nowhere")
  func gitlab() async throws {
    try await withTestCluster { cluster in
      let added = try await withFile("glpat-hush\n") { path in
        try await cluster.run("integration", "add", "org:acme", "--platform", "gitlab", "--token-file", path)
      }
      #expect(added.status == 0 && added.output.contains("added  org:acme  gitlab"), "\(added.output)")
      let id = try id(added.output)
      #expect(added.output.contains("/webhooks/gitlab/\(id.lowercase)"))
      let row = try await cluster.test.sql("SELECT token_ciphertext, instance_url FROM platform_integrations")[0]
      #expect(try row.decode(1, as: String.self) == "https://gitlab.com")
      let token = try TokenCipher(key: Self.key).open(try row.decode(0, as: [UInt8].self), in: .token(of: id))
      #expect(token.reveal() == "glpat-hush")
      let listed = try await cluster.run("integration", "list", "--json")
      #expect(listed.output.contains(#""hasToken":true"#) && listed.output.contains(#""revokedAt":null"#))
      for output in [added.output, listed.output, try await cluster.run("integration", "list").output] {
        #expect(!output.contains("hush") && output.contains(id.lowercase), "\(output)")
      }
    }
  }

  @Test("an owner may be paused before its first review, which then waits")
  func pausedBefore() async throws {
    try await withTestCluster { cluster in
      let paused = try await cluster.run("owner", "pause", "org:acme")
      #expect(paused.status == 0 && paused.output.contains("org:acme  paused"), "\(paused.output)")
      #expect(try await cluster.run("owner", "pause", "org:acme").output == "org:acme  paused\n")
      #expect(try await cluster.run("owner", "resume", "org:unknown").status == 1)
      let rows = try await cluster.test.sql("SELECT paused, max_concurrent FROM review_owners")
      #expect(rows.count == 1)
      #expect(try rows[0].decode(0, as: Bool.self))
      #expect(try rows[0].decode(1, as: Int32?.self) == nil)
    }
  }

  @Test("an installation is added once, revoked, and comes back with its id")
  func github() async throws {
    try await withTestCluster { cluster in
      let arguments = ["integration", "add", "org:acme", "--platform", "github", "--installation-id", "4242"]
      func add(_ owner: String = "org:acme") async throws -> (status: Int32, output: String) {
        let process = try BatonProcess(arguments.map { $0 == "org:acme" ? owner : $0 }, settings: cluster.settings)
        return (await process.wait(), process.output)
      }
      let first = try await add()
      let id = try id(first.output)
      #expect(try await add().output.hasPrefix("\(id.lowercase)  updated"))
      let taken = try await add("user:42")
      #expect(taken.status == 1 && taken.output.contains("org:acme") && taken.output.contains(id.lowercase))
      #expect(try await cluster.run("integration", "revoke", id.lowercase).output.contains("revoked"))
      #expect(try await cluster.run("integration", "list").output.contains("revoked now"))
      #expect(try await cluster.run("integration", "revoke", id.lowercase).status == 0)
      #expect(try await add().output.contains("updated, no longer revoked"))
      let unknown = try await cluster.run("integration", "revoke", UUID().uuidString)
      #expect(unknown.status == 1 && unknown.output.contains("no such integration"))
    }
  }

  @Test("a GitLab host that may not be called is refused, a missing key is a setting's fault")
  func refused() async throws {
    try await withTestCluster { cluster in
      try await withFile("glpat-hush") { path in
        for (address, word) in [("https://evil.example", "BATON_GITLAB_HOSTS"), ("http://gitlab.com", "without TLS")] {
          let host = try await cluster.run(
            "integration", "add", "org:acme", "--platform", "gitlab", "--instance-url", address, "--token-file", path)
          #expect(host.status == 1 && host.output.contains(word), "\(host.output)")
        }
        var settings = cluster.settings
        settings["BATON_ENCRYPTION_KEY"] = nil
        let process = try BatonProcess(
          ["integration", "add", "org:acme", "--platform", "gitlab", "--token-file", path], settings: settings)
        #expect(await process.wait() == 78)
        #expect(process.output.contains("BATON_ENCRYPTION_KEY") && !process.output.contains("hush"))
      }
      let count = try await cluster.test.sql("SELECT count(*) FROM platform_integrations")[0].decode(0, as: Int64.self)
      #expect(count == 0)
    }
  }

  @Test("a configuration is made, changed field by field, and shown; what is invalid changes nothing")
  func configuration() async throws {
    try await withTestCluster { cluster in
      let missing = try await cluster.run("config", "show", "org:acme", "--platform", "github")
      #expect(missing.status == 1 && missing.output.contains("baton config set org:acme"), "\(missing.output)")
      let made = try await withFile(#"{"review_style":"strict","later":1}"#) { path in
        try await cluster.run("config", "set", "org:acme", "--platform", "github", "--file", path)
      }
      #expect(made.status == 0 && made.output.contains("enabled"), "\(made.output)")
      let changed = try await cluster.run(
        "config", "set", "org:acme", "--platform", "github", "--max-review-time-minutes", "20", "--disable")
      #expect(changed.status == 0 && changed.output.contains("disabled"), "\(changed.output)")
      let shown = try await cluster.run("config", "show", "org:acme", "--platform", "github", "--json")
      #expect(
        shown.output.contains(
          #""config":{"later":1,"max_review_time_minutes":20,"review_style":"strict"},"faults":[]"#),
        "\(shown.output)")
      let invalid = try await withFile(#"{"review_style":"kind","gate_threshold":7}"#) { path in
        try await cluster.run("config", "set", "org:acme", "--platform", "github", "--file", path)
      }
      #expect(invalid.status == 1, "\(invalid.output)")
      #expect(invalid.output.contains("review_style") && invalid.output.contains("gate_threshold"))
      let page = try await cluster.run("config", "show", "org:acme", "--platform", "github")
      #expect(page.output.contains("disabled") && page.output.contains("strict"), "\(page.output)")
    }
  }

  @Test("catch-up without the app of GitHub says what it leaves out, and what to set")
  func catchUp() async throws {
    try await withTestCluster { cluster in
      let nothing = try await cluster.run("catch-up")
      #expect(nothing.status == 0 && nothing.output.contains("Set BATON_GITHUB_APP_ID"), "\(nothing.output)")
      let key = try await withFile("glpat-hush\n") { path in
        try await cluster.run("integration", "add", "org:acme", "--platform", "gitlab", "--token-file", path)
      }
      #expect(key.status == 0, "\(key.output)")
      let gitlab = try await cluster.run("catch-up")
      #expect(gitlab.status == 0 && !gitlab.output.contains("BATON_GITHUB_APP_ID"), "\(gitlab.output)")
      _ = try await cluster.run("integration", "add", "org:acme", "--platform", "github", "--installation-id", "4242")
      let both = try await cluster.run("catch-up")
      #expect(both.status == 78 && both.output.contains("1 installation"), "\(both.output)")
      #expect(both.output.contains("Set BATON_GITHUB_APP_ID and BATON_GITHUB_PRIVATE_KEY"), "\(both.output)")
    }
  }

  @Test("prune deletes what ended long ago, and says how much")
  func prune() async throws {
    try await withTestCluster { cluster in
      _ = try await cluster.test.insert(5)
      try await cluster.test.sql(
        "UPDATE code_reviews SET status = 'cancelled', created_at = now() - interval '100 days' WHERE pr_number < 4")
      try await cluster.test.sql(
        "UPDATE code_reviews SET completed_at = now() - interval '95 days' WHERE pr_number < 3")
      let pruned = try await cluster.run("prune", "--older-than", "90d", "--batch", "1")
      #expect(pruned.status == 0 && pruned.output.contains("2 reviews and 0 webhook deliveries"), "\(pruned.output)")
      let again = try await cluster.run("prune", "--older-than", "90d", "--json")
      #expect(again.output.contains(#"{"reviews":0,"webhookDeliveries":0}"#), "\(again.output)")
      let process = try BatonProcess(
        ["prune", "--older-than", "90d", "--interval", "1m"], settings: cluster.settings)
      try await eventually("a pass has ended") { process.output.contains("0 reviews and 0 webhook deliveries") }
      process.signal(SIGTERM)
      _ = await process.wait()
    }
  }

  @Test("--version and completion scripts need neither settings nor servers", arguments: ["bash", "zsh", "fish"])
  func withoutServers(shell: String) async throws {
    let version = try BatonProcess(["--version"], settings: [:])
    #expect(await version.wait() == 0)
    #expect(version.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil, "\(version.output)")
    let script = try BatonProcess(["--generate-completion-script", shell], settings: [:])
    #expect(await script.wait() == 0)
    #expect(script.output.contains("baton"))
  }
}

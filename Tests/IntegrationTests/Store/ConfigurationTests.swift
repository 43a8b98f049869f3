import PostgresClient
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Configurations")
struct ConfigurationTests {
  private let acme = Owner(type: .org, id: "acme")

  private func change(_ change: ConfigurationChange, _ test: TestStore) async throws -> StoredConfiguration {
    try await test.store.change(change, of: acme, platform: .github)
  }

  @Test("fields change alone; what is not named stays, also unknown fields and odd numbers")
  func fields() async throws {
    try await withTestStore { test in
      _ = try await change(
        ConfigurationChange(replacement: #"{"review_style":"strict","later":{"n":12345678901234567890123}}"#), test)
      let stored = try await change(ConfigurationChange(fields: #"{"model_slug":"m"}"#), test)
      #expect(
        stored.json == #"{"later": {"n": 12345678901234567890123}, "model_slug": "m", "review_style": "strict"}"#)
      let less = try await change(ConfigurationChange(removed: ["review_style", "gate_threshold"]), test)
      #expect(try ReviewConfiguration(json: less.json).style == .balanced)
      #expect(try ReviewConfiguration(json: less.json).model == "m")
      let whole = try await change(
        ConfigurationChange(replacement: #"{"review_style":"roast"}"#, fields: #"{"agent_version":"v2"}"#), test)
      #expect(whole.json == #"{"review_style": "roast", "agent_version": "v2"}"#)
      #expect(try await test.store.configuration(of: acme, platform: .github) == whole)
    }
  }

  @Test("a new one is enabled; afterwards only an explicit change enables or disables it")
  func enabling() async throws {
    try await withTestStore { test throws in
      #expect(try await test.store.configuration(of: acme, platform: .github) == nil)
      #expect(try await change(ConfigurationChange(), test).isEnabled)
      #expect(try await !change(ConfigurationChange(isEnabled: false), test).isEnabled)
      #expect(try await !change(ConfigurationChange(fields: #"{"model_slug":"m"}"#), test).isEnabled)
      #expect(try await change(ConfigurationChange(isEnabled: true), test).isEnabled)
      #expect(try await test.store.configuration(of: acme, platform: .gitlab) == nil)
    }
  }

  @Test("what would be invalid changes nothing, and every fault is named")
  func faults() async throws {
    try await withTestStore { test in
      let before = try await change(ConfigurationChange(fields: #"{"review_style":"strict"}"#), test)
      let faults = await #expect(throws: ReviewConfigurationFaults.self) {
        try await change(
          ConfigurationChange(fields: #"{"review_style":"kind","max_review_time_minutes":99}"#, isEnabled: false), test)
      }
      #expect(faults?.faults.count == 2)
      #expect(try await test.store.configuration(of: acme, platform: .github) == before)
      // SQL has written an invalid configuration: it can be replaced, but not added to.
      try await test.sql("UPDATE agent_configs SET config = '[1]'")
      await #expect(throws: ReviewConfigurationFaults.self) {
        try await change(ConfigurationChange(fields: #"{"review_style":"strict"}"#), test)
      }
      #expect(try await change(ConfigurationChange(replacement: "{}"), test).json == "{}")
    }
  }

  @Test("changes of different fields at once are all kept")
  func concurrent() async throws {
    try await withTestStore { test in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<8 {
          group.addTask { _ = try await change(ConfigurationChange(fields: #"{"field_\#(index)":1}"#), test) }
        }
        try await group.waitForAll()
      }
      let stored = try #require(try await test.store.configuration(of: acme, platform: .github))
      for index in 0..<8 { #expect(stored.json.contains("field_\(index)")) }
    }
  }
}

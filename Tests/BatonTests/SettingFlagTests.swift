import ArgumentParser
import Settings
import Testing

@testable import baton

@Suite("Flags of settings")
struct SettingFlagTests {
  @Test("every setting is a flag of some command")
  func complete() throws {
    let groups: [any SettingFlags] = [
      try CommonOptions.parse([]), try DatabaseOptions.parse([]), try BrokerOptions.parse([]),
      try WorkerOptions.parse([]), try FlowOptions.parse([]), try DispatchOptions.parse([]), try HTTPOptions.parse([]),
      try MetricsOptions.parse([]), try AgentOptions.parse([]), try CallbackOptions.parse([]),
      try PlatformOptions.parse([]), try WebhookOptions.parse([]), try AgentVersionOptions.parse([]),
      try CatchUpOptions.parse([]),
    ]
    #expect(Set(groups.flatMap(\.given.keys)) == Set(Settings.definitions.map(\.key)))
  }

  @Test("a flag's text is that of the setting with its name, and a flag that is not given has none")
  func given() throws {
    let flow = try FlowOptions.parse(["--lease", "20s", "--owner-limit", "7"])
    #expect(flow.given["lease"] == "20s" && flow.given["owner_limit"] == "7")
    #expect(flow.given["poll_interval"] == .some(nil))
    let settings = try CommonOptions.parse([]).load([flow], requiring: [])
    #expect(settings.heartbeatTimeout == .seconds(20) && settings.ownerLimit == 7 && settings.given.contains("lease"))
  }

  @Test("its help has the setting's words, its variable and its default")
  func help() {
    let help = Baton.helpMessage(for: ProduceCommand.self, columns: 300)
    #expect(help.contains("--lease <time>"))
    #expect(help.contains("a lease lasts is BATON_PREPARE_TIMEOUT (BATON_LEASE, default 15s)"))
  }
}

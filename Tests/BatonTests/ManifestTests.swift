import Foundation
import Settings
import Testing
import Yams

/// A secret that a role does not read can only be stolen from it.
@Suite("Secrets in the manifests")
struct ManifestTests {
  /// One process of a manifest: the command that it runs, and the variables that it is given.
  struct Role: Sendable, CustomStringConvertible {
    var place: String
    var command: String
    var variables: Set<String>
    var description: String { place }
  }

  private static let stores: Set<String> = ["BATON_DATABASE_URL", "BATON_AMQP_URL"]

  /// The secrets that each command reads.
  private static let read: [String: Set<String>] = [
    "migrate": stores, "produce": stores,
    // It does not ask the broker; where all roles read one file, it is given that address too.
    "prune": stores,
    // Of the platforms' secrets for missed webhooks, if that is no job of its own.
    "reap": stores.union(["BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY", "BATON_GITHUB_PRIVATE_KEY"]),
    // Where all roles read one file, it is given the broker's address too.
    "catch-up": stores.union(["BATON_ENCRYPTION_KEY", "BATON_GITHUB_PRIVATE_KEY"]),
    "consume": stores.union([
      "BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY", "BATON_GITHUB_PRIVATE_KEY", "BATON_POSTHOG_KEY",
    ]),
    "serve": stores.union([
      "BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY", "BATON_GITHUB_PRIVATE_KEY", "BATON_CALLBACK_SECRET",
      "BATON_API_TOKEN", "BATON_READ_TOKEN", "BATON_GITHUB_WEBHOOK_SECRET", "BATON_GITLAB_WEBHOOK_SECRET",
    ]),
    "worker": ["BATON_WORKER_TOKEN", "BATON_CALLBACK_SECRET"],
  ]
  /// Those without which it does not start, or could not do its part.
  private static let needed: [String: Set<String>] = [
    "migrate": stores, "produce": stores, "prune": ["BATON_DATABASE_URL"],
    "catch-up": ["BATON_DATABASE_URL", "BATON_ENCRYPTION_KEY", "BATON_GITHUB_APP_ID", "BATON_GITHUB_PRIVATE_KEY"],
    "reap": stores.union(["BATON_WORKER_TOKEN"]),
    "consume": stores.union(["BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY"]),
    "serve": stores.union(["BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY", "BATON_CALLBACK_SECRET", "BATON_API_TOKEN"]),
    "worker": ["BATON_WORKER_TOKEN", "BATON_CALLBACK_SECRET", "BATON_AGENT_COMMAND"],
  ]
  private static let secrets = Set(Settings.definitions.filter(\.isSecret).map(\.variable))

  private static let deploy = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("deploy")

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: deploy.appendingPathComponent(path), encoding: .utf8)
  }

  private static func files(_ folder: String, _ suffix: String) throws -> [String] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: deploy.appendingPathComponent(folder).path)
    return names.filter { $0.hasSuffix(suffix) }.sorted().map { "\(folder)/\($0)" }
  }

  private func check(_ roles: [Role]) throws {
    for role in roles {
      let read = try #require(Self.read[role.command], "\(role.place): \(role.command)")
      #expect(
        role.variables.intersection(Self.secrets).subtracting(read) == [],
        "\(role.place) is given what it does not read")
      #expect((Self.needed[role.command] ?? []).subtracting(role.variables) == [], "\(role.place) lacks what it needs")
    }
  }

  @Test("compose gives no role a secret that its command does not read, and ships no demonstration")
  func compose() throws {
    let root = try #require(try Yams.load(yaml: Self.text("container/compose.yaml")) as? [String: Any])
    let services = try #require(root["services"] as? [String: [String: Any]])
    var roles: [Role] = []
    for (name, service) in services where service["image"] as? String == "baton" {
      let words = try #require(service["command"] as? [String])
      #expect(!words.contains("--demo"))
      let environment = service["environment"] as? [String: Any] ?? [:]
      roles.append(Role(place: "compose.yaml: \(name)", command: words[0], variables: Set(environment.keys)))
    }
    // On one machine the reaper, which keeps running, catches up.
    #expect(Set(roles.map(\.command)) == Set(Self.read.keys).subtracting(["catch-up"]))
    try check(roles)
    let reaper = try #require(roles.first { $0.command == "reap" })
    #expect(try #require(Self.needed["catch-up"]).subtracting(reaper.variables) == [])
    let worker = try #require(roles.first { $0.command == "worker" })
    #expect(worker.variables.contains("BATON_AGENT_ISOLATION"))
  }

  @Test("the manifests of Kubernetes give each role the secrets that it reads, and no others")
  func kubernetes() throws {
    var roles: [Role] = []
    let files = try Self.files("kubernetes/base", ".yaml") + Self.files("kubernetes/components/reaper", ".yaml")
    for file in files {
      for case let document as [String: Any] in try Yams.load_all(yaml: Self.text(file)) {
        for container in Self.containers(of: document) {
          guard let words = container["args"] as? [String], let name = container["name"] as? String else { continue }
          let variables = (container["env"] as? [[String: Any]] ?? []).compactMap { $0["name"] as? String }
          roles.append(Role(place: "\(file): \(name)", command: words[0], variables: Set(variables)))
        }
      }
    }
    #expect(Set(roles.map(\.command)) == ["migrate", "produce", "consume", "reap", "prune", "serve", "catch-up"])
    try check(roles)
    try checkCatchUpAlone(roles)
    // All pods are given the settings: no secret may stand there.
    let settings = try #require(try Yams.load(yaml: Self.text("kubernetes/base/settings.yaml")) as? [String: Any])
    let shared = try #require(settings["data"] as? [String: Any])
    #expect(Self.secrets.intersection(shared.keys) == [])
  }

  /// Of a workload, also below a CronJob's template.
  private static func containers(of document: [String: Any]) -> [[String: Any]] {
    var spec = document["spec"] as? [String: Any] ?? [:]
    while let inner = (spec["jobTemplate"] ?? spec["template"]) as? [String: Any] {
      spec = inner["spec"] as? [String: Any] ?? [:]
    }
    return spec["containers"] as? [[String: Any]] ?? []
  }

  @Test("the units of systemd give each role the secrets that it reads, and no others")
  func systemd() throws {
    let shared = try Self.environment(Self.text("systemd/baton-.service.d/10-baton.conf"))
    let github = try Self.environment(Self.text("systemd/baton-github.conf"))
    #expect(github == ["BATON_GITHUB_PRIVATE_KEY"])
    let units = try Self.files("systemd", ".service")
    let roles = try units.map { file in
      let unit = try Self.text(file)
      let command = try #require(unit.firstMatch(of: /ExecStart=\/usr\/bin\/baton ([\w-]+)/), "\(file)")
      // The roles that call GitHub have its key by a file of their own.
      let ownFile = ["consume", "serve", "catch-up"].contains(String(command.1)) ? github : []
      return Role(
        place: file, command: String(command.1), variables: shared.union(try Self.environment(unit)).union(ownFile))
    }
    #expect(roles.count >= 6)
    try check(roles)
    try checkCatchUpAlone(roles)
  }

  /// Catch-up is a job of its own: the reaper is given no secret of a platform.
  private func checkCatchUpAlone(_ roles: [Role]) throws {
    #expect(roles.contains { $0.command == "catch-up" })
    for role in roles where role.command == "reap" {
      #expect(role.variables.intersection(["BATON_ENCRYPTION_KEY", "BATON_GITHUB_PRIVATE_KEY"]) == [], "\(role)")
    }
  }

  /// The variables of the files that a unit names, by their examples.
  private static func environment(_ unit: String) throws -> Set<String> {
    var names: Set<String> = []
    for file in unit.matches(of: /EnvironmentFile=-?\/etc\/baton\/(\w+\.env)/) {
      let example = try text("systemd/\(file.1).example")
      names.formUnion(example.matches(of: /(?m)^#?(BATON_[A-Z_]+)=/).map { String($0.1) })
    }
    return names.union(unit.matches(of: /(?m)^Environment=(BATON_[A-Z_]+)=/).map { String($0.1) })
  }
}

import AsyncHTTPClient
import Logging
import ReviewStore
import ServiceLifecycle
import Settings
import Testing

@testable import Assembly

@Suite("The composition of a process")
struct CompositionTests {
  /// Nothing of it is connected to.
  private static let flags = [
    "database_url": "postgres://baton@127.0.0.1:1/baton", "amqp_url": "amqp://127.0.0.1:1",
    "worker_url": "http://127.0.0.1:1", "worker_token": "the-token-of-a-worker",
    "encryption_key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  ]

  private func settings(without keys: String..., with more: [String: String] = [:]) throws -> Settings {
    try Settings.load(
      flags: Self.flags.filter { !keys.contains($0.key) }.merging(more) { $1 }, environment: [:], file: nil)
  }

  @Test("a process has the services of its roles and what these need, in one order")
  func parts() throws {
    let settings = try settings()
    #expect(ServicePart.parts(of: [.produce], settings) == [.holderSession, .publisher, .called, .producer])
    #expect(
      ServicePart.parts(of: [.consume], settings) == [
        .holderSession, .publisher, .platformConnections, .called, .consumer,
      ])
    #expect(
      ServicePart.parts(of: [.reap], settings) == [
        .holderSession, .publisher, .platformConnections, .called, .cancels, .catchUp, .reaper,
      ])
    #expect(
      ServicePart.parts(of: [.serve], settings) == [
        .holderSession, .publisher, .platformConnections, .called, .webhooksLeftBehind, .feedback, .platformTasks,
        .events, .cancels, .server,
      ])
  }

  @Test("several roles in one process have each part once, in the same order")
  func union() throws {
    let settings = try settings(with: ["metrics_port": "9464", "otlp_endpoint": "http://127.0.0.1:1"])
    #expect(ServicePart.parts(of: .all, settings) == ServicePart.allCases)
    for roles in [[.produce, .reap], [.serve, .consume], [.consume, .produce, .reap]] as [Set<Role>] {
      let parts = ServicePart.parts(of: roles, settings)
      let single = roles.flatMap { ServicePart.parts(of: [$0], settings) }
      #expect(Set(parts) == Set(single), "\(roles)")
      #expect(parts == ServicePart.allCases.filter(parts.contains), "\(roles)")
    }
  }

  @Test("what takes new work stops before what it needs to finish")
  func order() throws {
    let parts = ServicePart.parts(of: .all, try settings())
    func position(_ part: ServicePart) throws -> Int { try #require(parts.firstIndex(of: part)) }
    for worker in [ServicePart.producer, .consumer, .reaper, .server, .feedback, .cancels] {
      for needed in [ServicePart.holderSession, .publisher, .platformConnections, .called] {
        #expect(try position(needed) < position(worker), "\(worker) needs \(needed)")
      }
    }
    // The server takes the callbacks of what the consumer still dispatches.
    #expect(try position(.server) < position(.consumer))
  }

  @Test("no session is taken for lost while it waits for the lock of an integration's tokens", arguments: Role.allCases)
  func tokenLock(_ role: Role) {
    #expect(DispatcherProcess.answerTimeout(of: [role]) > ReviewStore.tokenLockTimeout)
    #expect(DispatcherProcess.answerTimeout(of: .all) > ReviewStore.tokenLockTimeout)
  }

  @Test("spans are exported after everything else has stopped")
  func spansLast() throws {
    #expect(ServicePart.parts(of: .all, try settings(with: ["otlp_endpoint": "http://127.0.0.1:1"])).first == .spans)
    #expect(!ServicePart.parts(of: .all, try settings()).contains(.spans))
  }

  @Test("a part without its settings is left out")
  func settingsDecide() throws {
    let withoutKey = ServicePart.parts(of: [.serve], try settings(without: "encryption_key"))
    #expect(!withoutKey.contains(.feedback) && !withoutKey.contains(.platformConnections))
    let withoutWorker = try settings(without: "worker_url", "worker_token")
    #expect(!ServicePart.parts(of: [.serve], withoutWorker).contains(.cancels))
    #expect(ServicePart.parts(of: [.reap], withoutWorker).contains(.reaper))
    #expect(ServicePart.parts(of: [.produce], try settings(with: ["metrics_port": "9464"])).contains(.probes))
  }

  @Test("a role names the settings that it cannot do without")
  func required() {
    #expect(Set<Role>([.produce]).requiredSettings == [.databaseURL, .amqpURL])
    #expect(Set<Role>([.reap, .serve]).requiredSettings == [.databaseURL, .amqpURL])
    #expect(
      Set<Role>.all.requiredSettings == [.databaseURL, .amqpURL, .workerURL, .workerToken, .encryptionKey])
  }

  @Test("other processes see a process that consumes as a consumer, whatever else it does")
  func holderRole() {
    #expect(Role.allCases.map { Set([$0]).holderRole } == ["consume", "produce", "reap", "serve"])
    #expect(Set<Role>.all.holderRole == "consume")
  }

  @Test("the services are made in the order of their parts, around those of the command", arguments: Role.allCases)
  func services(role: Role) async throws {
    let settings = try settings()
    let process = try DispatcherProcess(
      "test", roles: [role], version: "test", settings: settings, logger: Logger(label: "test"))
    var additions = ProcessAdditions()
    additions.called = [Probe(), Probe()]
    let composition = try Composition(process, additions)
    let services = try composition.services
    var expected = ServicePart.parts(of: [role], settings)
    expected.insert(.called, at: try #require(expected.firstIndex(of: .called)))
    #expect(services.map(\.part) == expected)
    #expect(services.filter { $0.service is Probe }.map(\.part) == [.called, .called])
    // Its client may not be dropped while it is open.
    try await composition.platforms?.httpClient.shutdown()
  }
}

private struct Probe: Service {
  func run() async throws {}
}

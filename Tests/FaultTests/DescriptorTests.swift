import Foundation
import PostgresClient
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("Few open files", .serialized, .timeLimit(.minutes(10)))
struct DescriptorTests {
  private static let roles = [["produce"], ["consume"], ["reap", "--interval", "1s"], ["serve"]]

  @Test(
    "each role works, or refuses to start with status 78 and the reason; none is ended by a signal",
    arguments: [40, 64, 128, 256])
  func roles(limit: Int) async throws {
    let port = try BrokerServer.freePort()
    try await withTestCluster(
      latency: .milliseconds(20), settings: ["BATON_OWNER_LIMIT": "200", "BATON_HTTP_PORT": "\(port)"]
    ) {
      cluster in
      let ids = try await cluster.test.insert(60)
      var running: [BatonProcess] = []
      for role in Self.roles {
        let process = try BatonProcess(role, settings: cluster.settings, openFileMax: limit)
        try await eventually("\(role) at \(limit) has started or refused: \(process.output)") {
          process.output.contains("started") || process.output.contains("limit of open files is \(limit)")
        }
        if process.output.contains("started") {
          running.append(process)
        } else {
          #expect(await process.wait() == 78)
          #expect(process.output.contains("needs at least"))
        }
      }
      #expect(running.count == (limit >= 64 ? Self.roles.count : 0))
      if limit >= 64 {
        try await eventually("all dispatched") { try await cluster.dispatchedCount() == ids.count }
        #expect(cluster.doubleRuns.isEmpty)
      }
      for process in running { process.signal(SIGTERM) }
      for process in running { #expect(await process.wait() == 0, "\(process.output)") }
      for process in running { #expect(!process.output.contains("Too many open files"), "\(process.output)") }
    }
  }

  @Test("a soft limit that is too low is raised to the hard one")
  func softLimit() async throws {
    try await withTestCluster { cluster in
      let process = try BatonProcess(
        ["produce"], settings: cluster.settings, through: ["sh", "-c", "ulimit -S -n 40 && exec \"$0\" \"$@\""])
      try await eventually("it has started") { process.output.contains("started") }
      #expect(!process.output.contains("limit of open files"), "\(process.output)")
      process.signal(SIGTERM)
      #expect(await process.wait() == 0)
    }
  }

  @Test("more clients than the limit allows wait to be accepted: the server keeps what it needs for Postgres")
  func crowd() async throws {
    let port = try BrokerServer.freePort()
    try await withTestCluster(settings: ["BATON_HTTP_PORT": "\(port)"]) { cluster in
      let server = try BatonProcess(["serve"], settings: cluster.settings, openFileMax: 96)
      try await eventually("it listens") { server.output.contains("listening") }
      let crowd = try Crowd(port: port, count: 200)
      try await cluster.test.sql(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'baton serve'
        """)
      try await eventually("it has sessions again") {
        let sessions = try await cluster.test.sql(
          """
          SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'baton serve'
          """)
        return try sessions[0].decode(0, as: Int.self) >= 2
      }
      crowd.leave()
      let client = RawHTTPClient(port: port)
      try await eventually("ready") { (try? await client.send("GET", "/readyz").status) == 200 }
      #expect(!server.output.contains("Too many open files"), "\(server.output)")
      server.signal(SIGTERM)
      #expect(await server.wait() == 0)
    }
  }

  @Test("the reference worker runs fewer agents at once, or refuses to start", arguments: [40, 64, 128])
  func worker(limit: Int) async throws {
    try await withWorker(
      agent: "echo done", concurrency: 30, openFileMax: limit,
      refused: { process in
        #expect(limit < 64)
        #expect(await process.wait() == 78)
        #expect(process.output.contains("limit of open files is \(limit)"), "\(process.output)")
      },
      { worker, _ in
        let ids = (0..<40).map { _ in UUID() }
        let client = worker.client
        // Four at once: connections that are kept alive count against the worker's limit, and further ones wait.
        await withTaskGroup(of: Void.self) { group in
          for lane in 0..<4 {
            group.addTask {
              for index in stride(from: lane, to: ids.count, by: 4) {
                let outcome = await client.start(
                  WorkerTestCluster.request(ids[index]).encode(), reviewID: ids[index], attempt: 1, trace: nil)
                if case .dispatched = outcome { continue }
                Issue.record("\(ids[index]): \(outcome)")
              }
            }
          }
        }
        for id in ids {
          try await eventually("run \(id) has ended: \(worker.process.output)") {
            await worker.state(id).map { $0 != .queued && $0 != .running } ?? false
          }
          #expect(await worker.state(id) == .completed)
        }
        #expect(await worker.stop() == 0)
      })
  }
}

/// Connections that send nothing.
private struct Crowd {
  private let descriptors: [Int32]

  init(port: Int, count: Int) throws {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    descriptors = (0..<count).map { _ in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      _ = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      return descriptor
    }
  }

  func leave() { for descriptor in descriptors { close(descriptor) } }
}

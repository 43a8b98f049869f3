import Foundation
import Telemetry
import Testing

@Suite("What a process shows of itself")
struct ProcessUsageTests {
  @Test("a scrape names the roles and the version, and what the process uses")
  func exposition() async throws {
    let registry = PrometheusRegistry()
    BatonMetrics(factory: registry).observeProcess(registry, roles: ["consume", "serve"], version: "1.2.3")
    let text = await registry.collect()
    for role in ["consume", "serve"] {
      #expect(text.contains("\nbaton_build_info{version=\"1.2.3\",role=\"\(role)\"} 1\n"))
    }
    func value(_ name: String) throws -> Double {
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name + " ") }, "\(name)")
      return try #require(Double(line.dropFirst(name.count + 1)))
    }
    #expect(try value("process_cpu_seconds_total") > 0)
    #expect(try value("process_resident_memory_bytes") > 1_000_000)
    #expect(try (1...value("process_max_fds")).contains(value("process_open_fds")))
    let age = Date().timeIntervalSince1970 - (try value("process_start_time_seconds"))
    #expect(age > -2 && age < 86_400)
    #expect(text.contains("# TYPE process_cpu_seconds_total counter\n"))
  }

  @Test("a file that is opened counts until it is closed")
  func openFiles() throws {
    let before = try #require(ProcessUsage.current().openFiles)
    // Other tests of this process open and close some: these are many more.
    let files = (0..<200).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
    let with = try #require(ProcessUsage.current().openFiles)
    for file in files { close(file) }
    #expect(with > before + 100)
  }
}

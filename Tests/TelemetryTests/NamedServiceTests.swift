import ServiceLifecycle
import Support
import Telemetry
import Testing

@Suite("Names of services")
struct NamedServiceTests {
  private struct Failing: Service {
    struct Fault: Error {}

    let password = "hunter2"

    func run() async throws { throw Fault() }
  }

  @Test("a group that ends with a service's fault names the service, and shows nothing that it holds")
  func named() async throws {
    let log = CapturedLog()
    let group = ServiceGroup(
      configuration: .init(services: [.init(service: NamedService(Failing()))], logger: log.logger))
    await #expect(throws: Failing.Fault.self) { try await group.run() }
    let text = log.lines().joined(separator: "\n")
    #expect(text.contains("Failing"))
    #expect(!text.contains("hunter2"))
  }
}

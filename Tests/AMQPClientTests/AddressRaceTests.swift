import Glibc
import Support
import Testing

@testable import AMQPClient

@Suite("Addresses of a broker's name")
struct AddressRaceTests {
  @Test(
    "a silent address in front does not keep the next one from being reached, long before its time is over",
    .timeLimit(.minutes(2)))
  func silentFirst() throws {
    let silent = try SilentAddress(host: "127.0.0.2")
    let open = try ListeningAddress(host: "127.0.0.1", port: silent.port)
    let winner = try AddressRace.run(
      hosts: ["127.0.0.2", "127.0.0.1"], port: silent.port, timeout: .seconds(600)
    ).get()
    close(winner.socket)
    #expect(winner.address == "127.0.0.1")
    withExtendedLifetime((silent, open)) {}
  }

  @Test("an address that refuses is passed over at once")
  func refusedFirst() throws {
    let open = try ListeningAddress(host: "127.0.0.1", port: 0)
    let winner = try AddressRace.run(
      hosts: ["127.0.0.2", "127.0.0.1"], port: open.port, timeout: .seconds(60)
    ).get()
    close(winner.socket)
    #expect(winner.address == "127.0.0.1")
    withExtendedLifetime(open) {}
  }

  @Test("if no address accepts, each is named with its own fault")
  func none() throws {
    let silent = try SilentAddress(host: "127.0.0.2")
    let result = AddressRace.run(
      hosts: ["127.0.0.2", "127.0.0.1"], port: silent.port, timeout: .milliseconds(300))
    guard case .failure(let fault) = result else { throw Accepted() }
    #expect(fault.text.contains("127.0.0.2: no answer within 0.3 seconds"))
    #expect(fault.text.contains("127.0.0.1: Connection refused"))
    withExtendedLifetime(silent) {}
  }

  @Test("a name that cannot be looked up is a fault that says so")
  func unknownName() {
    let result = AddressRace.run(hosts: ["no-such-host.invalid"], port: 1, timeout: .seconds(1))
    guard case .failure(let fault) = result else { return #expect(Bool(false)) }
    #expect(fault.text.contains("looked up"))
  }

  private struct Accepted: Error {}
}

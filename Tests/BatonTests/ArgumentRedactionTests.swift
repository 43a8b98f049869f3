import ArgumentParser
import Testing

@testable import baton

@Suite("Messages about wrong arguments")
struct ArgumentRedactionTests {
  @Test(
    "the value of an option that is, or nearly is, one of a secret is not repeated",
    arguments: [
      ["retry", "--api-tokn", "hunter2"], ["retry", "--worker-tokens", "hunter2", "x"],
      ["serve", "--api-tokn=hunter2"],
      ["retry", "--encryptionkey", "hunter2"], ["retry", "--amqp-ulr", "amqp://u:hunter2@h"],
      ["retry", "postgres://u:hunter2@h/d"], ["cancel", "--callback-secrt", "hunter2"],
      ["retry", "--password", "hunter2"],
    ])
  func secrets(arguments: [String]) throws {
    let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(arguments) }
    let message = ArgumentRedaction.redact(Baton.fullMessage(for: try #require(error)), arguments: arguments)
    #expect(!message.contains("hunter2") && message.contains("Error: "), "\(message)")
  }

  @Test("other values are repeated, as they say what to correct")
  func others() throws {
    for arguments in [["list", "--limit", "many"], ["serve", "extra-word"]] {
      let error = #expect(throws: (any Error).self) { try Baton.parseAsRoot(arguments) }
      let message = ArgumentRedaction.redact(Baton.fullMessage(for: try #require(error)), arguments: arguments)
      #expect(message.contains(arguments[arguments.count - 1]), "\(message)")
    }
  }
}

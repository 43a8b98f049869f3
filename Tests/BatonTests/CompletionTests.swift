import ArgumentParser
import Testing

@testable import baton

@Suite("Shell completion")
struct CompletionTests {
  @Test(
    "a script for each shell knows the commands, their values and where files belong",
    arguments: ["bash", "zsh", "fish"])
  func scripts(shell: String) throws {
    let script = Baton.completionScript(for: try #require(CompletionShell(rawValue: shell)))
    for word in [
      "integration", "revoke", "prune", "gitlab", "completed", "roast", "critical", "warning", "token-file", "yaml",
    ] {
      #expect(script.contains(word), "\(word)")
    }
  }
}

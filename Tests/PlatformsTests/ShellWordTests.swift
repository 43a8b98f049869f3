import Foundation
import Testing

@testable import Platforms

@Suite("Shell words")
struct ShellWordTests {
  @Test(
    "a shell gets each name as one word, and nothing in it is run; what is shown has no backtick and nothing hidden",
    arguments: [
      "main", "release/1.2", "", "a b", "a'b", "''", "$(touch x)", "`touch x`", "a`b", "a;b", "a&&b", "a\\b", "a\nb",
      "a\n", "!x",
      "~", "$HOME", "%s%d", "\\055", "größe", "日本語", "a\u{202E}b", "a\u{200B}`b", "\u{3164}", "a\u{00A0}b", "-n", "-`",
    ])
  func exact(_ name: String) throws {
    let word = name.shellWord
    #expect(!word.contains("`") && UntrustedText(word, byteCountMax: 9_999).hiddenCharacterCount == 0)
    #expect(!word.unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{00A0}" })
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    shell.arguments = ["-c", "printf '%s|' \(word)"]
    let output = Pipe()
    shell.standardOutput = output
    try shell.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    shell.waitUntilExit()
    // A shell drops line ends at the end of what a command prints; no branch has one.
    let expected = name.hasSuffix("\n") ? String(name.dropLast()) : name
    #expect(String(decoding: data, as: UTF8.self) == expected + "|")
  }
}

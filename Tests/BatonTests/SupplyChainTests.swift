import Foundation
import Testing

@Suite("Supply chain")
struct SupplyChainTests {
  private struct Resolved: Decodable {
    struct Pin: Decodable {
      struct State: Decodable { var version: String? }
      var location: String
      var state: State
    }
    var pins: [Pin]
  }

  private let root: URL

  init() {
    root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  @Test("each package that is built has an exact version in the manifest, also those that only other packages need")
  func exact() throws {
    let manifest = try text("Package.swift")
    let lines = manifest.split(separator: "\n").filter { $0.contains(".package(url:") }
    #expect(lines.allSatisfy { $0.contains(", exact: \"") }, "\(lines.filter { !$0.contains(", exact: \"") })")
    let resolved = try JSONDecoder().decode(Resolved.self, from: Data(text("Package.resolved").utf8))
    #expect(resolved.pins.count == lines.count)
    for pin in resolved.pins {
      let address = pin.location.hasSuffix(".git") ? String(pin.location.dropLast(4)) : pin.location
      #expect(manifest.contains("\"\(address)\", exact: \"\(pin.state.version ?? "")\""), "\(address)")
    }
  }

  @Test("the image is built with the hardening flags, which are checked, and has the list of its parts")
  func image() throws {
    let dockerfile = try text("deploy/container/Dockerfile")
    for part in [
      "deploy/container/build)", "deploy/container/hardened /out/baton", "sbom.py Package.resolved",
      "baton.cdx.json /usr/share",
    ] {
      #expect(dockerfile.contains(part), "\(part)")
    }
    let build = try text("deploy/container/build")
    for flag in ["-z -Xlinker now", "-z -Xlinker relro", "-fstack-protector-strong", "_FORTIFY_SOURCE=2"] {
      #expect(build.contains(flag), "\(flag)")
    }
  }

  @Test("the check of a binary refuses one that is not hardened, and says what is missing")
  func hardened() throws {
    func check(_ binary: String) throws -> (status: Int32, output: String) {
      let process = Process()
      process.executableURL = root.appendingPathComponent("deploy/container/hardened")
      process.arguments = [binary]
      let output = Pipe()
      process.standardOutput = output
      process.standardError = output
      try process.run()
      let data = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
    // A debug build has no flags; Debian hardens its shell.
    let own = try check(ProcessInfo.processInfo.environment["BATON_TEST_EXECUTABLE"] ?? CommandLine.arguments[0])
    #expect(own.status == 1 && own.output.contains("-z now"), "\(own.output)")
    #expect(own.output.contains("crash points of tests"), "\(own.output)")
    let shell = try check("/bin/bash")
    #expect(shell.status == 0, "\(shell.output)")
  }
}

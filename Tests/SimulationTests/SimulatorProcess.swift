internal import Foundation

/// `baton-simulate`, which stands next to the tests. A process of its own: it replaces clocks and random numbers in all of it.
enum SimulatorProcess {
  struct Result: Sendable {
    var status: Int32
    var output: String
  }

  static func run(_ arguments: String...) async throws -> Result {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent(
      "baton-simulate")
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = try await Task.detached { try pipe.fileHandleForReading.readToEnd() ?? Data() }.value
    process.waitUntilExit()
    return Result(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
  }
}

internal import FoundationEssentials
internal import Reviews
internal import ServiceLifecycle
internal import Subprocess
internal import SystemPackage

/// `baton-sandbox`, which plays GitHub and GitLab, and reviews by rules. It is a program of its own, so that this one holds no recorded data.
struct SandboxProgram: Sendable {
  static let name = "baton-sandbox"

  let path: String

  /// - Parameter program: the path of this program; the other one is in the same folder.
  /// - Throws: ``Failure`` that says how to get it.
  init(nextTo program: String = Self.thisProgram) throws(Failure) {
    path = FilePath(program).removingLastComponent().appending(Self.name).string
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw Failure(
        .failed,
        "\(path) is missing: --sandbox runs it. Build it with `swift build --product \(Self.name)`, and put it next to baton."
      )
    }
  }

  private static var thisProgram: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "./baton"
  }

  /// The command of a shell that reviews a start on standard input.
  func agentCommand(api: String) -> String {
    "exec '\(path.replacing("'", with: "'\\''"))' agent --api \(api)"
  }

  /// The stand-in for GitHub and GitLab, as a process that ends with this one, however this one ends.
  func platforms(port: Int) -> some Service { SandboxPlatforms(path: path, port: port) }

  /// The open pull requests that it can play.
  func pullRequests() async throws -> [NewReview] {
    let result = try await Subprocess.run(
      .path(FilePath(path)), arguments: ["pull-requests"], environment: Self.environment,
      output: .string(limit: 1 << 20), error: .currentStandardError)
    guard case .exited(0) = result.terminationStatus else {
      throw Failure(.failed, "\(path) pull-requests has failed: \(result.terminationStatus)")
    }
    var reader = SubmissionReader()
    return try (reader.take(result.standardOutput.utf8) + reader.finish()).map { try $0.result.get() }
  }

  /// Without the settings of this program, some of which are secrets.
  fileprivate static var environment: Environment {
    .custom(
      Dictionary(
        uniqueKeysWithValues: ProcessInfo.processInfo.environment.compactMap { name, value in
          name.hasPrefix("BATON_") ? nil : Environment.Key(rawValue: name).map { ($0, value) }
        }))
  }
}

private struct SandboxPlatforms: Service {
  let path: String
  let port: Int

  func run() async throws {
    var options = Subprocess.PlatformOptions()
    // Ctrl-C at the terminal is for this process alone: while it drains, it still calls the stand-in.
    options.createSession = true
    let result = try await Subprocess.run(
      .path(FilePath(path)), arguments: ["platforms", "--port", "\(port)", "--until-input-ends"],
      environment: SandboxProgram.environment, platformOptions: options, input: .inputWriter, output: .sequence,
      error: .currentStandardError
    ) { execution in
      // Its standard input ends when this returns.
      try? await cancelWhenGracefulShutdown {
        for try await _ in execution.standardOutput {}
      }
    }
    guard case .exited(0) = result.terminationStatus else {
      throw Failure(.failed, "\(path) platforms has failed: \(result.terminationStatus)")
    }
  }
}

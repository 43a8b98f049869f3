package import AMQPClient
import Foundation
import Glibc

/// A broker that belongs to one suite, which may break it as it likes.
package struct BrokerServer: Sendable {
  package let port: Int
  private let script: String
  private let folder: String
  private let extraConfiguration: String?
  private let plugins: [String]

  /// Prepares a broker on free ports; `start()` starts it.
  /// - Parameters:
  ///   - extraConfiguration: lines for rabbitmq.conf, given the port.
  ///   - plugins: enabled in addition to those of every test.
  package init(plugins: [String] = [], extraConfiguration: ((Int) -> String)? = nil) throws {
    self.plugins = plugins
    script = try postgresTestVariable("BATON_TEST_BROKER_SCRIPT")
    port = try Self.freePort()
    folder = "/tmp/\(uniqueName("broker"))"
    self.extraConfiguration = extraConfiguration?(port)
  }

  /// How to reach it.
  package func configuration(_ name: String = "test", port: Int? = nil) throws -> AMQPConfiguration {
    var configuration = try AMQPConfiguration(
      urls: "amqp://guest:guest@127.0.0.1:\(port ?? self.port)", connectionName: uniqueName(name))
    configuration.rpcTimeout = .seconds(30)
    configuration.connectTimeout = .seconds(15)
    return configuration
  }

  /// Starts it, on the data that is there; returns when it accepts connections.
  package func start() async throws { try await run("start") }
  /// Kills it with SIGKILL.
  package func crash() async throws { try await run("crash") }
  /// Removes it with its data.
  package func wipe() async throws {
    try await run("wipe")
    try FileManager.default.removeItem(atPath: folder)
  }
  /// Runs rabbitmqctl and gives its output.
  @discardableResult
  package func control(_ arguments: String...) async throws -> String { try await run("ctl", arguments) }
  /// Suspends the channels that publish with confirms; their connections answer as usual.
  package func suspendChannels() async throws {
    try await control(
      "eval", "[sys:suspend(P) || P <- rabbit_channel:list(), rabbit_channel:info(P, [confirm]) =:= [{confirm, true}]]."
    )
  }
  /// Sends a signal to the broker's process.
  package func signal(_ number: Int32) throws {
    let text = try String(contentsOfFile: "\(folder)/rmq/pid", encoding: .utf8)
    guard let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), kill(pid, number) == 0 else {
      throw BrokerCommandFailed(command: "signal \(number)", output: text)
    }
  }

  @discardableResult
  private func run(_ command: String, _ arguments: [String] = []) async throws -> String {
    var environment = ProcessInfo.processInfo.environment
    environment["BROKER_ONLY"] = "1"
    if !plugins.isEmpty { environment["RMQ_EXTRA_PLUGINS"] = plugins.joined(separator: ",") }
    if let extraConfiguration {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let file = "\(folder)/extra.conf"
      try extraConfiguration.write(toFile: file, atomically: true, encoding: .utf8)
      environment["RMQ_EXTRA_CONF"] = file
    }
    return try await runCommand(
      script, [command, folder, String(port), String(port + 1)] + arguments, environment: environment)
  }

  /// A port whose derived ports (management, distribution, epmd) are free too; all below the ephemeral range.
  package static func freePort() throws -> Int {
    for _ in 0..<200 {
      let port = Int.random(in: 5_700...12_600)
      if [0, 1, 2, 10_000, 10_001, 20_000, 20_001].allSatisfy({ isFree(port + $0) }) { return port }
    }
    throw BrokerCommandFailed(command: "find a free port", output: "200 ports were taken")
  }

  private static func isFree(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}

/// Runs a program and gives what it wrote to standard output; fails with what it wrote to standard error.
///
/// Not Foundation's `Process`: that takes a program for running as long as a server which it left behind is.
package func runCommand(
  _ path: String, _ arguments: [String], environment: [String: String]? = nil
) async throws -> String {
  let base = "/tmp/\(uniqueName("command"))"
  let (outputPath, errorPath) = ("\(base).out", "\(base).err")
  defer { for path in [outputPath, errorPath] { unlink(path) } }
  let status = await withCheckedContinuation { continuation in
    // A thread of its own: waiting for a program must not hold a thread that tasks run on.
    Thread.detachNewThread {
      let status = spawnAndWait(
        [path] + arguments, environment ?? ProcessInfo.processInfo.environment, outputPath, errorPath)
      continuation.resume(returning: status)
    }
  }
  let output = try String(contentsOfFile: outputPath, encoding: .utf8)
  guard status == 0 else {
    let errors = try String(contentsOfFile: errorPath, encoding: .utf8)
    throw BrokerCommandFailed(command: ([path] + arguments).joined(separator: " "), output: output + errors)
  }
  return output
}

/// Files, not pipes: a server that is left behind would hold them open.
private func spawnAndWait(
  _ arguments: [String], _ environment: [String: String], _ outputPath: String, _ errorPath: String
) -> Int32 {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
  posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  let argumentList = arguments.map { strdup($0) } + [nil]
  let environmentList = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for pointer in argumentList + environmentList { free(pointer) } }
  var pid: pid_t = 0
  let code = posix_spawn(&pid, arguments[0], &actions, nil, argumentList, environmentList)
  guard code == 0 else { return code }
  var status: Int32 = 0
  while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { return -1 } }
  return status
}

/// A command about a server did not succeed.
package struct BrokerCommandFailed: Error, CustomStringConvertible {
  package let command: String
  package let output: String
  package var description: String { "\(command) failed: \(output)" }
}

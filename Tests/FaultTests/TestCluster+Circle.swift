import Foundation
import Platforms
import PostgresClient
import Primitives
import ReviewStore
import Reviews
import Support

extension TestCluster {
  /// Starts a role that serves HTTP.
  /// - Returns: the process, and the address that it listens on.
  func listen(_ arguments: String...) async throws -> (process: BatonProcess, url: String) {
    let process = try BatonProcess(arguments, settings: settings)
    var url = ""
    try await eventually("\(arguments) listens") {
      guard let match = process.output.firstMatch(of: /listening url=(http:\/\/[0-9.:]+)/) else { return false }
      url = String(match.1)
      return true
    }
    return (process, url)
  }

  /// The owner `org:acme` with the recorded installation, a token to write with, and a gate.
  func addIntegration() async throws {
    let id = UUID()
    let cipher = TokenCipher(key: Array(repeating: 7, count: 32))
    try await test.store.setConfiguration(
      #"{"gate_threshold":"warning"}"#, of: Owner(type: .org, id: "acme"), platform: .github)
    try await test.pool.query(
      PostgresStatement(
        unprepared: """
          INSERT INTO platform_integrations (id, owner_type, owner_id, platform, installation_id, token_ciphertext)
          VALUES ($1, 'org', 'acme', 'github', '1', $2)
          """), [id, try cipher.seal(Secret("ghp_test"), for: id)])
  }

  func count(_ from: String) async throws -> Int {
    Int(try await test.sql("SELECT count(*) FROM \(from)")[0].decode(0, as: Int64.self))
  }
}

/// What an agent of a test does: it notes the review that it was given, says a line and half of another, the rest only when it is let
/// go, and lets the pull request pass.
struct NotingAgent {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-agent-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private var log: URL { folder.appendingPathComponent("runs") }

  /// The value of BATON_AGENT_COMMAND.
  var command: String {
    #"""
    grep -o '"reviewId":"[^"]*"' | head -n 1 >> '\#(log.path)'; echo reading; printf 'half '
    until [ -e '\#(goFile.path)' ] || [ ! -d '\#(folder.path)' ]; do sleep 0.05; done
    echo 'a line'; echo '{"gateResult":"pass","sessionId":"s"}'
    """#
  }

  /// What each of them has said in the end.
  static let messages = ["reading", "half a line"]

  private var goFile: URL { folder.appendingPathComponent("go") }

  /// Ends all agents, and those to come at once.
  func letGo() { _ = FileManager.default.createFile(atPath: goFile.path, contents: nil) }

  /// The worker's own state.
  var state: String { folder.appendingPathComponent("worker.sqlite").path }

  /// The reviews that were run, once for each run.
  var runs: [String] {
    let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { $0.split(separator: "\"").last.map(String.init) }
  }

  func remove() { try? FileManager.default.removeItem(at: folder) }
}

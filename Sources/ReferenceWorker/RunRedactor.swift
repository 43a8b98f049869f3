internal import CLinux
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// Keeps secrets out of a run's events and messages, whatever the agent prints: the run's own tokens, and all that the worker has.
struct RunRedactor: Sendable {
  /// The longest first, as one may be part of another.
  private let secrets: [String]

  /// A shorter text is no token, and would blot out ordinary words.
  private static let byteCountMin = 8

  /// - Parameter ofWorker: the secrets of the worker's process.
  init(_ request: StartRequest, ofWorker: [Secret] = []) {
    let ofRun = [request.authToken, request.sessionInput.githubToken, request.sessionInput.gitToken].compactMap { $0 }
    secrets = Set(ofRun + ofWorker.map { $0.reveal() })
      .filter { $0.utf8.count >= Self.byteCountMin }.sorted { $0.utf8.count > $1.utf8.count }
  }

  func callAsFunction(_ text: String) -> String {
    var text = text
    for secret in secrets where Self.contains(text, secret) { text = text.replacing(secret, with: "***") }
    return text
  }

  func callAsFunction(_ text: String?) -> String? { text.map { self($0) } }

  func callAsFunction(_ value: JSONValue) -> JSONValue {
    switch value {
    case .string(let text): .string(self(text))
    case .array(let values): .array(values.map { self($0) })
    case .object(let fields):
      .object(Dictionary(fields.map { (self($0), self($1)) }, uniquingKeysWith: { first, _ in first }))
    case .null, .bool, .integer, .number: value
    }
  }

  /// By bytes: an agent may print as much as the disk takes, and nearly nothing of it is a secret.
  private static func contains(_ text: String, _ secret: String) -> Bool {
    var (text, secret) = (text, secret)
    return text.withUTF8 { text in
      secret.withUTF8 { secret in
        guard let first = text.baseAddress, let wanted = secret.baseAddress else { return false }
        return memmem(first, text.count, wanted, secret.count) != nil
      }
    }
  }
}

internal import AsyncHTTPClient
internal import Crypto
internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import Primitives

/// Webhooks of the app as the fake GitHub makes them up, for `POST /_control/deliver`.
struct FakeEvents: Sendable {
  /// What a caller of the control wants delivered: an event with a body of its own, or one that is made up.
  struct Wanted: Decodable {
    /// `pull_request`, `merge_group`, `installation`, `repository`, or any other with a body.
    var event: String
    /// Of one that is made up: `opened`, `checks_requested`, `suspend`, `renamed`.
    var action: String?
    var repository: String?
    var number: Int?
    var installation: Int?
    var body: JSONValue?
  }

  /// The body of an event; nil if it is none that can be made up.
  static func body(_ wanted: Wanted) -> String? {
    if let body = wanted.body { return (try? JSONEncoder().encode(body)).map { String(decoding: $0, as: UTF8.self) } }
    let repository = wanted.repository ?? "acme/shop"
    let number = wanted.number ?? 17
    let pull = MadeUpPullRequest(repository: repository, number: number)
    var hash = Hash(seed: repository)
    let place = #"{"id":\#(hash.next() % 1_000_000_000 + 1),"full_name":"\#(repository)"}"#
    let (action, subject): (String, String)
    switch wanted.event {
    case "pull_request":
      action = wanted.action ?? "opened"
      subject = """
        "pull_request":{"number":\(number),"state":"\(action == "closed" ? "closed" : "open")","title":"\(pull.title)",\
        "html_url":"https://github.com/\(repository)/pull/\(number)","draft":false,"updated_at":"\(now)",\
        "user":{"login":"\(pull.author)","type":"User"},"labels":[],\
        "base":{"ref":"\(pull.baseRef)","repo":\(place)},\
        "head":{"ref":"\(pull.headRef)","sha":"\(pull.headSha)","repo":\(place)}}
        """
    case "merge_group":
      action = wanted.action ?? "checks_requested"
      var group = Hash(seed: "\(repository)#\(number) group")
      let sha = String((group.hex() + group.hex() + group.hex()).prefix(40))
      let branch = "gh-readonly-queue/\(pull.baseRef)/pr-\(number)-\(pull.headSha)"
      subject =
        #""merge_group":{"head_sha":"\#(sha)","head_ref":"refs/heads/\#(branch)","base_ref":"\#(pull.baseRef)"}"#
    case "installation":
      return """
        {"action":"\(wanted.action ?? "suspend")","installation":{"id":\(wanted.installation ?? 1),"updated_at":"\(now)",\
        "account":{"login":"octocat","type":"User"}},"sender":{"login":"octocat","type":"User"}}
        """
    case "repository":
      action = wanted.action ?? "renamed"
      subject = #""sender":{"login":"octocat","type":"User"}"#
    default: return nil
    }
    return """
      {"action":"\(action)","installation":{"id":\(wanted.installation ?? 1)},"repository":\(place),\(subject)}
      """
  }

  private static var now: String { Date().formatted(.iso8601) }
}

extension FakePlatform {
  /// Sends the app's webhooks to an address from now on, signed.
  package func setHook(url: String, secret: String) { state.withValues { $0.receiveHook = Self.hook(url, secret) } }

  /// Posts an event as GitHub does.
  static func hook(_ url: String, _ secret: String) -> ReceiveHook {
    { event, body in
      let bytes = Array(body.utf8)
      let code = HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: Data(secret.utf8)))
      var request = HTTPClientRequest(url: url)
      request.method = .POST
      request.headers = [
        "content-type": "application/json", "x-github-event": event, "x-github-delivery": UUID().uuidString,
        "x-hub-signature-256": "sha256=\(Array(code).hexadecimal)",
      ]
      request.body = .bytes(ByteBuffer(bytes: bytes))
      // GitHub waits for ten seconds.
      let answer = try? await HTTPClient.shared.execute(request, timeout: .seconds(10))
      return answer.map { Int($0.status.code) } ?? 0
    }
  }
}

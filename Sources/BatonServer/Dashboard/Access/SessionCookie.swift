internal import Crypto
internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// A person's session with the dashboard, as its cookie says.
struct DashboardSession: Sendable {
  /// Random; what Postgres knows the session by.
  let id: String
  let right: Right
  fileprivate let key: SymmetricKey

  /// A code that only this server, or another one with the same token, makes for this session.
  func code(_ purpose: String) -> String {
    HMAC<SHA256>.authenticationCode(for: Data("\(purpose) \(id)".utf8), using: key).hexadecimal
  }
}

/// Makes and reads the cookies of sessions: a random id, and a code over it with a key that is derived from the token with which the
/// session began.
///
/// A forged cookie therefore costs no query, a cookie says what its token may do, and a session ends with its token. Postgres knows
/// whether it has ended before (``SessionBook``).
struct SessionCookie: Sendable {
  private let keys: [(token: Secret, right: Right, key: SymmetricKey)]

  /// OWASP ASVS 3.3.2, level 2: twelve hours.
  static let lifetime = Duration.seconds(12 * 3_600)
  static let name = "baton_session"
  /// A browser takes it over TLS alone, for this host alone: no neighbour of the same domain can set it (RFC 6265bis, 4.1.3.2).
  static let secureName = "__Host-baton_session"

  init(_ credentials: [(token: Secret, right: Right)]) {
    keys = credentials.map { token, right in
      let key = HKDF<SHA256>.deriveKey(
        inputKeyMaterial: SymmetricKey(data: Data(token.reveal().utf8)), info: Data("baton dashboard session v2".utf8),
        outputByteCount: 32)
      return (token, right, key)
    }
  }

  /// A session that begins with a token; nil if the token is not one of ours.
  func begin(with token: Secret) -> DashboardSession? {
    keys.first { $0.token == token }.map { found in
      DashboardSession(
        id: SymmetricKey(size: .bits256).withUnsafeBytes { $0.hexadecimal }, right: found.right, key: found.key)
    }
  }

  /// The session whose cookie was sent, if the cookie is genuine.
  func session(in headers: HTTPFields) -> DashboardSession? {
    let name = Self.isSecure(headers) ? Self.secureName : Self.name
    for line in headers[values: .cookie] {
      for pair in line.split(separator: ";") {
        let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[0] == name, parts[1].utf8.count == 129 else { continue }
        let fields = parts[1].split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
        guard fields.count == 2, fields[0].utf8.count == 64 else { continue }
        for (_, right, key) in keys {
          let session = DashboardSession(id: fields[0], right: right, key: key)
          if ConstantTime.equal(fields[1], session.code("session")) { return session }
        }
      }
    }
    return nil
  }

  /// The `Set-Cookie` of a session.
  static func setting(_ session: DashboardSession, _ headers: HTTPFields) -> String {
    attributes("\(session.id).\(session.code("session"))", maxAge: Int(lifetime.components.seconds), headers)
  }

  /// The `Set-Cookie` that takes it away.
  static func removing(_ headers: HTTPFields) -> String { attributes("", maxAge: 0, headers) }

  private static func attributes(_ value: String, maxAge: Int, _ headers: HTTPFields) -> String {
    let isSecure = isSecure(headers)
    return """
      \(isSecure ? secureName : name)=\(value); Path=/; Max-Age=\(maxAge); HttpOnly; SameSite=Strict\(isSecure ? "; Secure" : "")
      """
  }

  /// Whether a proxy in front speaks TLS. Believed from anyone: a false word makes only the sender's own cookie stricter.
  private static func isSecure(_ headers: HTTPFields) -> Bool { headers[.xForwardedProto]?.lowercased() == "https" }
}

internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// The tokens of GitHub App installations: 201 with a token for an hour, or one of the recorded refusals.
struct FakeInstallations: Sendable {
  /// The installation that was not found when it was recorded.
  static let missing = 40_432_121

  let state: FakeState
  let api: String

  /// - Parameters:
  ///   - authorization: must be a JWT that has not expired; who signed it is not looked at.
  ///   - body: asking for permissions is refused, as it was for the recorded installation.
  func answer(installation: Int, authorization: String?, body: [UInt8]) -> FakeAnswer {
    guard let authorization, Self.isLivingJWT(authorization) else {
      return FakeAnswer(.installationTokenUnauthorized, api: api)
    }
    guard installation != Self.missing else { return FakeAnswer(.installationTokenMissing, api: api) }
    guard !state.withValues({ $0.suspended.contains(installation) }) else {
      return FakeAnswer(status: 403, json: #"{"message":"This installation has been suspended"}"#)
    }
    guard !String(decoding: body, as: UTF8.self).contains("\"permissions\"") else {
      return FakeAnswer(.installationTokenRefused, api: api)
    }
    return FakeAnswer(
      status: 201, headers: Recording.installationToken.headers,
      body: JSONFields.replacing(
        ["token": "\"\(token())\"", "expires_at": "\"\(Self.inAnHour())\""],
        in: FakeAnswer(.installationToken, api: api).body))
  }

  /// Another one each time, in the form of GitHub's: it opens nothing.
  private func token() -> String {
    let number = state.withValues { values in
      values.tokenCount += 1
      return values.tokenCount
    }
    let digits = String(number)
    return "ghs_" + String(repeating: "0", count: max(36 - digits.count, 0)) + digits
  }

  private static func inAnHour() -> String {
    Date(timeIntervalSinceNow: 3600).formatted(.iso8601)
  }

  /// Whether a header holds a JWT that has not expired; who signed it is not looked at.
  static func isLivingJWT(_ authorization: String) -> Bool {
    struct Claims: Decodable {
      var exp: Double
    }
    guard authorization.lowercased().hasPrefix("bearer ") else { return false }
    let parts = authorization.dropFirst(7).split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3 else { return false }
    var base64 = String(parts[1]).replacing("-", with: "+").replacing("_", with: "/")
    while base64.count % 4 != 0 { base64 += "=" }
    guard let json = Data(base64Encoded: base64), let claims = try? JSONCoding.decode(Claims.self, from: json)
    else { return false }
    return claims.exp > Date().timeIntervalSince1970
  }
}

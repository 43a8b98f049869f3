package import FoundationEssentials
internal import Primitives
internal import Reviews

/// What sealing one integration's secrets again has come to.
package struct Resealing: Sendable, Equatable {
  /// The secrets as they shall be stored; what does not open is left as it is.
  package var token: [UInt8]?
  package var webhookSecret: [UInt8]?
  package var projectTokensJSON: String?
  /// How many were sealed anew.
  package var resealedCount = 0
  /// How many were sealed with the current key, in the wanted format already.
  package var currentCount = 0
  /// What does not open, by its column, and why.
  package var faults: [String] = []
}

extension TokenCipher {
  /// Opens all secrets of an integration, and seals those again that are not under the current key and in this format.
  /// - Parameters:
  ///   - integration: its id, which is authenticated along with each secret.
  ///   - token: the integration's own, sealed.
  ///   - webhookSecret: sealed.
  ///   - metadata: the text of `metadata`.
  ///   - format: of what is sealed again.
  package func reseal(
    _ integration: UUID, token: [UInt8]?, webhookSecret: [UInt8]?, metadata: String, format: Format
  ) -> Resealing {
    var result = Resealing()
    result.token = reseal(token, in: .token(of: integration), format, &result)
    result.webhookSecret = reseal(webhookSecret, in: .webhookSecret(of: integration), format, &result)
    var tokens = StoredTokens(own: nil, metadata: metadata)
    guard !tokens.ofProjects.isEmpty else { return result }
    let before = tokens
    for (project, present) in tokens.ofProjects.sorted(by: { $0.key < $1.key }) {
      tokens.ofProjects[project]?.ciphertext =
        reseal(present.ciphertext, in: .projectToken(project, of: integration), format, &result) ?? present.ciphertext
    }
    if tokens != before { result.projectTokensJSON = try? tokens.projectTokensJSON() }
    return result
  }

  /// Whether any of an integration's secrets opens; nil if it has none.
  package func opensAny(of integration: UUID, token: [UInt8]?, webhookSecret: [UInt8]?, metadata: String) -> Bool? {
    var sealed: [([UInt8], SealedPlace)] = []
    if let token { sealed.append((token, .token(of: integration))) }
    if let webhookSecret { sealed.append((webhookSecret, .webhookSecret(of: integration))) }
    for (project, token) in StoredTokens(own: nil, metadata: metadata).ofProjects {
      sealed.append((token.ciphertext, .projectToken(project, of: integration)))
    }
    guard !sealed.isEmpty else { return nil }
    return sealed.contains { ciphertext, place in
      do throws(Fault) {
        _ = try open(ciphertext, in: place)
        return true
      } catch {
        // The key is there, the row is at fault.
        return error == .damaged && Self.keyID(of: ciphertext) != nil
      }
    }
  }

  private func reseal(
    _ ciphertext: [UInt8]?, in place: SealedPlace, _ format: Format, _ result: inout Resealing
  ) -> [UInt8]? {
    guard let ciphertext else { return nil }
    do throws(Fault) {
      let secret = try open(ciphertext, in: place)
      guard !isCurrent(ciphertext, format: format) else {
        result.currentCount += 1
        return ciphertext
      }
      let sealed = try seal(secret, in: place, format: format)
      result.resealedCount += 1
      return sealed
    } catch {
      result.faults.append("\(place.column): \(error)")
      return ciphertext
    }
  }
}

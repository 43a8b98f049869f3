internal import FoundationEssentials
internal import Primitives
internal import Reviews

/// A stored token that this process cannot use, and whose fault that is.
enum SealedTokenFault: Error, Sendable, Equatable {
  /// This process lacks the key, for which no review may pay.
  case keyMissing(message: String)
  /// The row is damaged, which concerns the reviews of this integration.
  case damaged(message: String)
}

extension TokenCipher {
  /// The token that an integration stores.
  func openToken(_ ciphertext: [UInt8], in place: SealedPlace) throws(SealedTokenFault) -> Secret {
    let name = "The token of integration \(place.integration.lowercase) does not open"
    do {
      return try open(ciphertext, in: place)
    } catch .damaged {
      throw .damaged(
        message: "\(name): \(Fault.damaged). Store the token again with `baton integration add`.")
    } catch {
      throw .keyMissing(
        message: "\(name): \(error). Set BATON_ENCRYPTION_KEY to the key, or to \"new,old\" while keys are exchanged; "
          + "if the key is lost, store the token again with `baton integration add`.")
    }
  }
}

extension PreparationError {
  init(_ fault: SealedTokenFault) {
    switch fault {
    case .keyMissing(let message): self = .keyMissing(message: message)
    case .damaged(let message): self = .permanent(.platformRefused, message: message)
    }
  }
}

extension CollectFailure {
  init(_ fault: SealedTokenFault) {
    switch fault {
    case .keyMissing(let message): self = .keyMissing(message: message)
    case .damaged(let message): self = .permanent(.platformRefused, message: message)
    }
  }
}

internal import Reviews
internal import Synchronization

/// Parsed configurations by their text: an owner's many reviews share one, and a changed text is another key.
///
/// Bounded: a full cache is emptied, which costs one parse per owner and needs no bookkeeping on the way there.
final class ConfigurationCache: Sendable {
  private typealias Outcome = Result<ReviewConfiguration, ReviewConfigurationFaults>

  private let capacity: Int
  private let outcomes = Mutex<[String: Outcome]>([:])

  init(capacity: Int = 256) { self.capacity = capacity }

  /// How many texts are known.
  var count: Int { outcomes.withLock { $0.count } }

  /// The configuration of a review.
  /// - Parameters:
  ///   - text: nil if the owner has none that is enabled, or one that is too large to be read.
  ///   - byteCount: the size of one that is too large to be read.
  /// - Throws: `.permanent` with `config_missing` or `config_invalid`, the latter naming every fault.
  func configuration(
    _ text: String?, byteCount: Int? = nil, of owner: Owner
  ) throws(PreparationError) -> ReviewConfiguration {
    guard let byteCount = byteCount ?? text?.utf8.count else {
      throw .permanent(.configMissing, message: "\(owner) has no enabled review configuration for this platform.")
    }
    switch text.map(outcome) ?? .failure(ReviewConfigurationFaults(byteCount: byteCount)) {
    case .success(let configuration): return configuration
    case .failure(let faults):
      throw .permanent(.configInvalid, message: "The review configuration of \(owner) is invalid: \(faults).")
    }
  }

  private func outcome(of text: String) -> Outcome {
    if let known = outcomes.withLock({ $0[text] }) { return known }
    let outcome: Outcome
    do {
      outcome = .success(try ReviewConfiguration(json: text))
    } catch {
      outcome = .failure(error)
    }
    outcomes.withLock {
      if $0.count >= capacity { $0.removeAll(keepingCapacity: true) }
      $0[text] = outcome
    }
    return outcome
  }
}

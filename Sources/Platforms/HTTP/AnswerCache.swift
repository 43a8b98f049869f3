internal import FoundationEssentials
internal import Synchronization

/// Answers that are kept with their `ETag`, so that asking again costs neither the body nor, at GitHub, any of the limit.
///
/// Kept by token and address: what one token may see never serves another, and GitHub's tags differ by token anyhow. Bounded by
/// bytes, in two generations: a full young one becomes the old one, which is forgotten when the next is full. What is used
/// moves to the young one, so that what is in use stays.
final class AnswerCache: Sendable {
  /// An answer that can be used again when the platform says so.
  struct Kept: Sendable, Equatable {
    var etag: String
    /// The `Link` header.
    var link: String?
    var body: Data

    fileprivate var byteCount: Int { body.count + etag.utf8.count + (link?.utf8.count ?? 0) + 256 }
  }

  /// Answers that are larger are not kept, in bytes: one of them would drive out many.
  static let answerByteCountMax = 256 * 1024

  private struct Key: Hashable {
    var fingerprint: [UInt8]?
    var url: String
  }

  private struct Generations {
    var young: [Key: Kept] = [:]
    var old: [Key: Kept] = [:]
    var youngByteCount = 0

    mutating func keep(_ kept: Kept, _ key: Key, byteCountMax: Int) {
      youngByteCount += kept.byteCount - (young[key]?.byteCount ?? 0)
      young[key] = kept
      old[key] = nil
      guard youngByteCount > byteCountMax / 2 else { return }
      (old, young, youngByteCount) = (young, [:], 0)
    }
  }

  private let byteCountMax: Int
  private let generations = Mutex(Generations())

  /// - Parameter byteCountMax: about as much memory is used at most.
  init(byteCountMax: Int = 16 * 1024 * 1024) { self.byteCountMax = byteCountMax }

  /// How many answers are kept.
  var count: Int { generations.withLock { $0.young.count + $0.old.count } }

  /// What is kept of an address for this token.
  func answer(of url: String, for fingerprint: [UInt8]?) -> Kept? {
    let key = Key(fingerprint: fingerprint, url: url)
    return generations.withLock { generations in
      if let kept = generations.young[key] { return kept }
      guard let kept = generations.old[key] else { return nil }
      generations.keep(kept, key, byteCountMax: byteCountMax)
      return kept
    }
  }

  /// Keeps an answer if it is not too large.
  func keep(_ kept: Kept, of url: String, for fingerprint: [UInt8]?) {
    guard kept.byteCount <= min(Self.answerByteCountMax, byteCountMax / 2) else { return }
    generations.withLock { $0.keep(kept, Key(fingerprint: fingerprint, url: url), byteCountMax: byteCountMax) }
  }

  /// Forgets one.
  func forget(_ url: String, for fingerprint: [UInt8]?) {
    let key = Key(fingerprint: fingerprint, url: url)
    generations.withLock { generations in
      if let kept = generations.young.removeValue(forKey: key) { generations.youngByteCount -= kept.byteCount }
      generations.old[key] = nil
    }
  }
}

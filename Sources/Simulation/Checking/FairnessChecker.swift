/// Checks that owners take turns (I7), where nothing goes wrong: a review whose owner has no other is published before what other owners
/// have waiting, but for what a pass of each producer may have claimed already.
struct FairnessChecker {
  private let isApplied: Bool
  private let owners: [Int: Int]
  /// How many other reviews may be published first.
  private let publishedMax: Int
  /// The reviews of each owner that have not ended.
  private var open: [Int: Set<Int>] = [:]
  private var published: Set<Int> = []
  /// Of reviews that should come soon: how many had been published when they came.
  private var waiting: [Int: Int] = [:]

  init(_ scenario: Scenario) {
    isApplied = scenario.isFree && scenario.operations.isEmpty
    owners = Dictionary(uniqueKeysWithValues: scenario.reviews.map { ($0.number, $0.owner) })
    // What is in the queue, what the passes under way have claimed, and the first review of each other owner.
    publishedMax = 2 * World.queueDepthMax * scenario.producers + scenario.limits.count
  }

  mutating func submitted(_ review: Int) {
    guard isApplied, let owner = owners[review] else { return }
    if open[owner, default: []].isEmpty { waiting[review] = published.count }
    open[owner, default: []].insert(review)
  }

  mutating func ended(_ review: Int) {
    if let owner = owners[review] { open[owner]?.remove(review) }
  }

  /// - Returns: what is wrong; nil if nothing is.
  mutating func published(_ review: Int) -> String? {
    guard isApplied else { return nil }
    let before = published.count
    guard published.insert(review).inserted, let start = waiting.removeValue(forKey: review) else { return nil }
    guard before - start > publishedMax else { return nil }
    return "r\(review), the only one of owner \(owners[review] ?? 0), waits for \(before - start) reviews of others"
  }
}

import Testing

@testable import AMQPClient

@Suite("Refusal watch")
struct RefusalWatchTests {
  /// After which confirms and refusals the channel is replaced.
  private func replacements(_ events: [(isAcknowledged: Bool, milliseconds: Int)]) -> [Bool] {
    let start = ContinuousClock.now
    var watch = RefusalWatch()
    return events.map { watch.settled(isAcknowledged: $0.isAcknowledged, at: start + .milliseconds($0.milliseconds)) }
  }

  @Test("a channel that refuses everything is replaced, and the new one has its own time")
  func refusesEverything() {
    #expect(replacements([(false, 0), (false, 600), (false, 1_400), (false, 1_500)]) == [false, false, true, false])
  }

  @Test("a confirm proves that the channel works: refusals begin anew")
  func confirmed() {
    #expect(replacements([(false, 0), (true, 1_000), (false, 2_000), (false, 2_900)]) == [false, false, false, false])
  }

  @Test("a batch that is refused at once does not replace the channel")
  func batch() {
    #expect(!replacements(Array(repeating: (false, 0), count: 1_000)).contains(true))
  }
}

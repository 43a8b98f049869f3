internal import FoundationEssentials
internal import HTTPKit
internal import Primitives
internal import Resilience
internal import Reviews

/// What a page shows, and its stream.
enum Topic: Sendable, Hashable {
  case overview
  case review(UUID)
  case list(ListQuery)
  case deadLetters
}

/// How a topic looks at one moment.
struct Snapshot: Sendable, Equatable {
  /// The database's time; nil if it could not be asked.
  var now: Timestamp?
  var sections: [Section] = []
  /// Why there is nothing new to show; nil if there is.
  var fault: String?
}

/// Renders each topic once for all who watch it: however many browsers are open, one loop asks for a topic, and none does while
/// no browser watches.
actor LiveFeed {
  private struct Channel {
    var subscribers: [Int: AsyncStream<Snapshot>.Continuation] = [:]
    var latest: Snapshot?
    var loop: Task<Void, Never>
    var wakeup: Wakeup
  }

  private let render: @Sendable (Topic) async -> Snapshot
  private let interval: Duration
  private var channels: [Topic: Channel] = [:]
  private var nextID = 0

  /// Streams at once; each holds a connection of the listener's.
  static let subscriberCountMax = 256
  /// How often a topic is asked for, at most.
  static let interval = Duration.seconds(2)
  /// A loop rests this many times as long as it has worked, so that watching costs at most a tenth of one connection.
  private static let restFactor = 9

  init(interval: Duration = LiveFeed.interval, render: @escaping @Sendable (Topic) async -> Snapshot) {
    self.interval = interval
    self.render = render
  }

  /// How many watch anything.
  var subscriberCount: Int { channels.values.reduce(0) { $0 + $1.subscribers.count } }

  /// Watches a topic until ``unsubscribe(_:from:)``. A slow reader skips snapshots, and gets the newest.
  /// - Throws: `HTTPFault` 503 if too many watch.
  func subscribe(to topic: Topic) throws(HTTPFault) -> (id: Int, snapshots: AsyncStream<Snapshot>) {
    guard subscriberCount < Self.subscriberCountMax else { throw .unavailable("too many pages are open") }
    let (stream, continuation) = AsyncStream.makeStream(of: Snapshot.self, bufferingPolicy: .bufferingNewest(1))
    nextID += 1
    var channel = channels[topic] ?? makeChannel(topic)
    if let latest = channel.latest { continuation.yield(latest) }
    channel.subscribers[nextID] = continuation
    channels[topic] = channel
    return (nextID, stream)
  }

  /// How a topic looks: as last sent to the watchers, or else asked now.
  func newest(of topic: Topic) async -> Snapshot {
    if let latest = channels[topic]?.latest, latest.fault == nil { return latest }
    return await render(topic)
  }

  /// Stops watching; the last one who does ends the loop.
  func unsubscribe(_ id: Int, from topic: Topic) {
    channels[topic]?.subscribers.removeValue(forKey: id)?.finish()
    guard let channel = channels[topic], channel.subscribers.isEmpty else { return }
    channel.loop.cancel()
    channels[topic] = nil
  }

  /// Asks for everything that is watched at once: something has just been changed.
  func refresh() {
    for channel in channels.values { channel.wakeup.wake() }
  }

  /// The loop's task belongs to the subscribers together, so no scope of one of them can hold it.
  private func makeChannel(_ topic: Topic) -> Channel {
    let wakeup = Wakeup()
    let loop = Task { [render, interval] in
      while !Task.isCancelled {
        let start = ContinuousClock.now
        let snapshot = await render(topic)
        publish(snapshot, to: topic, wakeup)
        let rest = max(interval, (ContinuousClock.now - start) * Self.restFactor)
        _ = try? await wakeup.wait(until: .now + rest)
      }
    }
    return Channel(loop: loop, wakeup: wakeup)
  }

  /// - Parameter wakeup: of the loop that asked: one that was cancelled has no say in its successor's channel.
  private func publish(_ snapshot: Snapshot, to topic: Topic, _ wakeup: Wakeup) {
    guard let channel = channels[topic], channel.wakeup === wakeup else { return }
    channels[topic]?.latest = snapshot
    for subscriber in channel.subscribers.values { subscriber.yield(snapshot) }
  }
}

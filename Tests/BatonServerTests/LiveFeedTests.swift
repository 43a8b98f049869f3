import Foundation
import HTTPKit
import Primitives
import Reviews
import Support
import Synchronization
import Testing

@testable import BatonServer

@Suite("Live feed")
struct LiveFeedTests {
  private final class Renderer: Sendable {
    private let count = Mutex(0)
    var rendered: Int { count.withLock { $0 } }

    func render(_ topic: Topic) -> Snapshot {
      let count = count.withLock { count in
        count += 1
        return count
      }
      return Snapshot(sections: [Section("count", "\(count)")])
    }
  }

  @Test("however many watch, a topic is rendered once; when the last has gone, no more")
  func shared() async throws {
    let renderer = Renderer()
    let feed = LiveFeed(interval: .seconds(3_600)) { renderer.render($0) }
    var watchers: [(id: Int, snapshots: AsyncStream<Snapshot>)] = []
    for _ in 0..<20 { watchers.append(try await feed.subscribe(to: .overview)) }
    for watcher in watchers {
      var iterator = watcher.snapshots.makeAsyncIterator()
      #expect(await iterator.next()?.sections == [Section("count", "1")])
    }
    #expect(renderer.rendered == 1)
    await feed.refresh()
    var iterator = watchers[0].snapshots.makeAsyncIterator()
    #expect(await iterator.next()?.sections == [Section("count", "2")])
    for watcher in watchers { await feed.unsubscribe(watcher.id, from: .overview) }
    #expect(await feed.subscriberCount == 0)
    await feed.refresh()
    // Its successor begins anew, and no other watcher has asked in between.
    let next = try await feed.subscribe(to: .overview)
    var fresh = next.snapshots.makeAsyncIterator()
    #expect(await fresh.next()?.sections == [Section("count", "3")])
    await feed.unsubscribe(next.id, from: .overview)
  }

  @Test("topics are separate, and a new watcher first gets the newest snapshot")
  func topics() async throws {
    let feed = LiveFeed(interval: .seconds(3_600)) { topic in
      Snapshot(sections: [Section("topic", topic == .overview ? "overview" : "other")])
    }
    let one = try await feed.subscribe(to: .overview)
    let other = try await feed.subscribe(to: .review(UUID()))
    var first = one.snapshots.makeAsyncIterator()
    var second = other.snapshots.makeAsyncIterator()
    #expect(await first.next()?.sections == [Section("topic", "overview")])
    #expect(await second.next()?.sections == [Section("topic", "other")])
    let late = try await feed.subscribe(to: .overview)
    var third = late.snapshots.makeAsyncIterator()
    #expect(await third.next()?.sections == [Section("topic", "overview")])
  }

  @Test("watchers above the limit are refused")
  func bounded() async throws {
    let feed = LiveFeed(interval: .seconds(3_600)) { _ in Snapshot() }
    for _ in 0..<LiveFeed.subscriberCountMax { _ = try await feed.subscribe(to: .overview) }
    await #expect(throws: HTTPFault.self) { try await feed.subscribe(to: .overview) }
  }

  @Test("an event holds what has changed since this browser's last one, in one line")
  func events() throws {
    var sent: [String: HTML] = [:]
    let now = Timestamp(microseconds: 1_795_000_000_000_000)
    let first = EventStream.event(
      Snapshot(now: now, sections: [Section("a", "x\ny"), Section("b", "<p>\("</p>\n")</p>")]), &sent)
    #expect(first.hasPrefix("data: {"))
    #expect(first.split(separator: "\n", omittingEmptySubsequences: false).count == 3)
    #expect(first.contains("\"fault\"") == false)
    let second = EventStream.event(Snapshot(now: now, sections: [Section("a", "x\ny"), Section("b", "z")]), &sent)
    #expect(second.contains(#""sections":{"b":"z"}"#))
    let fault = EventStream.event(Snapshot(fault: "away"), &sent)
    #expect(fault == "data: {\"fault\":\"away\",\"sections\":{}}\n\n")
  }
}

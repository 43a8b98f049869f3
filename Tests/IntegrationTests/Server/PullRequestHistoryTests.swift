import BatonServer
import Foundation
import ReviewStore
import Reviews
import Support
import Testing

/// Random histories of pull requests, delivered in random order, some events twice.
@Suite("Server: any history of a pull request", .timeLimit(.minutes(5)))
struct PullRequestHistoryTests {
  private static let historyCount = 16

  @Test(
    "leaves one live review of the newest commit, if the pull request is open, and none of any other",
    arguments: [Platform.github, .gitlab])
  func histories(_ platform: Platform) async throws {
    let seed = SeededGenerator.seed()
    try await withServerStack { stack in
      try await stack.addGitHub()
      let integration = try await stack.addGitLab()
      var generator = SeededGenerator(seed: seed)
      var histories: [(history: PullRequestHistory, deliveries: [RecordedWebhook])] = []
      for number in 1...Self.historyCount {
        let history = try PullRequestHistory(
          platform, number: number, integration: integration, stepCount: .random(in: 2...10, using: &generator),
          using: &generator)
        let twice = history.events.filter { _ in Int.random(in: 0..<4, using: &generator) == 0 }
        let order = Int.random(in: 0..<3, using: &generator)
        let deliveries =
          order == 0 ? history.events + twice : (history.events + twice).shuffled(using: &generator)
        histories.append((history, deliveries))
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (history, deliveries) in histories {
          group.addTask {
            for delivery in deliveries {
              let status = try await stack.client.send(delivery).status
              #expect([200, 202].contains(status), "\(history.log)")
            }
          }
        }
        try await group.waitForAll()
      }
      // Those that had to wait for another one for too long.
      try await stack.run("UPDATE webhook_deliveries SET due_at = now() WHERE processed_at IS NULL")
      try await WebhookIntake(store: stack.store, logger: ServerStack.silent).processDue()
      let reviews = try await stack.reviews()
      for (history, _) in histories {
        let live = reviews.filter { $0.prNumber == history.number && !$0.status.isTerminal }
        let found = live.map { "\($0.headSha.prefix(4)) \($0.baseRef)" }
        let wanted = "\(history.sha.prefix(4)) \(history.base)"
        let comment: Comment = "seed \(seed), #\(history.number): \(history.log)"
        if !history.isOpen {
          #expect(found == [], comment)
        } else if history.isDraft {
          // A review from before it was a draft goes on.
          #expect(live.count <= 1 && live.allSatisfy { $0.headSha == history.sha }, comment)
        } else {
          #expect(found == [wanted], comment)
        }
        #expect(reviews.filter { $0.prNumber == history.number }.allSatisfy { $0.status != .failed }, comment)
      }
    }
  }
}

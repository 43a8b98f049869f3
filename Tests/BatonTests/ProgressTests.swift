import FoundationEssentials
import Reviews
import Testing

@testable import baton

@Suite("Progress")
struct ProgressTests {
  private func items(_ count: Int, _ status: ReviewStatus = .pending) -> [Progress.Item] {
    (0..<count).map { .init(id: UUID(), label: "acme/shop#\($0)", status: status, attempt: 1) }
  }

  @Test("a line for each review while they fit, with the counts below")
  func few() {
    var items = items(2)
    items[1].status = .failed
    items[1].note = "worker_rejected: no"
    let lines = Progress(items).frame(columns: 80, rows: 24, elapsed: .seconds(3), usesColor: false)
    #expect(
      lines == [
        "acme/shop#0  pending", "acme/shop#1  failed     worker_rejected: no", "1 pending, 1 failed  after 3.0 s",
      ])
  }

  @Test("a summary with a bar if they do not fit")
  func many() {
    var items = items(100)
    for index in 0..<25 { items[index].status = .completed }
    items[25].status = .failed
    items[25].note = "agent_failed"
    let lines = Progress(items).frame(columns: 58, rows: 24, elapsed: .seconds(61), usesColor: false)
    #expect(lines.count == 3)
    #expect(lines[0].hasSuffix("░ 26 %"))
    #expect(lines[0].count { $0 == "█" } == 12)
    #expect(lines[1] == "acme/shop#25  failed  agent_failed")
    #expect(lines[2] == "74 pending, 25 completed, 1 failed  after 1 min 1 s")
  }

  @Test(
    "a frame always fits its terminal, so that it can be redrawn",
    arguments: [(80, 24), (20, 5), (11, 6), (200, 60), (40, 10)], [1, 4, 21, 500])
  func fits(_ size: (columns: Int, rows: Int), _ count: Int) {
    var items = items(count, .failed)
    for index in items.indices { items[index].note = "a long reason 审查 \u{1B}[2J " + String(repeating: "x", count: 99) }
    let lines = Progress(items).frame(
      columns: size.columns, rows: size.rows, elapsed: .seconds(3_700), hint: "a hint for the person who waits",
      usesColor: false)
    #expect(lines.count < size.rows)
    for line in lines { #expect(DisplayText.width(line) < size.columns, "\(line)") }
  }

  @Test("only a new status or attempt is a change")
  func changes() {
    let first = Review.fixture(1)
    let second = Review.fixture(2)
    var progress = Progress(
      [first, second].map { .init(id: $0.id, label: $0.pullRequest, status: $0.status, attempt: $0.attempt) })
    #expect(progress.isUntouched)
    var queued = second
    queued.status = .queued
    var noted = first
    noted.statusReason = "retried later"
    #expect(progress.update([noted, queued]).map(\.label) == ["acme/shop#2"])
    #expect(progress.update([noted, queued]).isEmpty)
    #expect(!progress.isUntouched)
    queued.status = .completed
    #expect(progress.update([queued]).map(\.status) == [.completed])
    #expect(progress.open == [first.id])
    #expect(progress.update([Review.fixture(3)]).isEmpty)
  }

  @Test("a change is one line with its time, attempt and reason")
  func changeLine() {
    let item = Progress.Item(
      id: UUID(), label: "acme/shop#7", status: .failed, attempt: 2, note: "worker_rejected: a\nb")
    #expect(
      Progress.changeLine(item, elapsed: .milliseconds(1_500))
        == "1.5 s  acme/shop#7  failed (attempt 2): worker_rejected: a b")
  }

  @Test("a review that is submitted twice is followed once, a deleted one no more")
  func duplicates() {
    let items = items(2)
    var progress = Progress(items + items)
    #expect(progress.items.count == 2)
    progress.drop([items[0].id, UUID()])
    #expect(progress.droppedCount == 1)
    #expect(progress.open == [items[1].id])
  }
}

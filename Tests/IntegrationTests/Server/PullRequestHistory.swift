import Foundation
import Reviews
import Support

/// A pull request as a platform has it, and the events of what people did with it.
struct PullRequestHistory {
  let platform: Platform
  /// Of the pull request; its repository's is made of it.
  let number: Int
  /// In the order in which they happened.
  private(set) var events: [RecordedWebhook] = []
  private(set) var sha = ""
  private(set) var base = "main"
  private(set) var isOpen = true
  private(set) var isDraft = false
  /// What was done, for a failed test.
  private(set) var log: [String] = []

  private let integration: UUID
  private var name: String
  private var second = 0
  private var shas: [String] = []
  /// Whether the newest event of this second is a push: another push of the same second says which commit it replaces.
  private var isPush = false

  /// - Parameter integration: of GitLab.
  init(
    _ platform: Platform, number: Int, integration: UUID, stepCount: Int, using generator: inout SeededGenerator
  ) throws {
    self.platform = platform
    self.number = number
    self.integration = integration
    name = "acme/shop-\(number)"
    isDraft = Int.random(in: 0..<5, using: &generator) == 0
    sha = newSha(using: &generator)
    try add(platform == .github ? "opened" : "open")
    for _ in 0..<stepCount { try step(using: &generator) }
  }

  private mutating func newSha(using generator: inout SeededGenerator) -> String {
    let sha = (0..<5).map { _ in
      String(UInt32.random(in: 0x1000_0000...UInt32.max, using: &generator), radix: 16)
    }.joined()
    shas.append(sha)
    return sha
  }

  // MARK: Steps

  private mutating func step(using generator: inout SeededGenerator) throws {
    let before = second
    let isSameSecond = isPush && Int.random(in: 0..<3, using: &generator) == 0
    second += Int.random(in: 1...3, using: &generator)
    isPush = false
    switch Int.random(in: 0..<12, using: &generator) {
    case 0...4 where isOpen:
      if isSameSecond { second = before }
      try push(isSameSecond, using: &generator)
    case 5 where isOpen:
      base = base == "main" ? "release" : "main"
      try add("edited", ["changes.base": #"{"ref":{"from":"x"}}"#], ["target_branch"])
    case 6 where isOpen:
      isDraft.toggle()
      try add(isDraft ? "converted_to_draft" : "ready_for_review", gitlab: ["draft"])
    case 7 where isOpen, 8 where isOpen:
      isOpen = false
      try add("closed")
    case 7...10 where !isOpen:
      isOpen = true
      try add("reopened")
    case 9 where platform == .github:
      name = "acme/shop-\(number)-\(second)"
      try add("renamed", event: "repository")
    case 10: try add("labeled", gitlab: ["labels"])
    default: try add("edited", ["changes.title": #"{"from":"x"}"#], ["title"])
    }
  }

  private mutating func push(_ isSameSecond: Bool, using generator: inout SeededGenerator) throws {
    let before = sha
    // Of a circle within one second only the order of receipt says where it ended.
    let isForced = !isSameSecond && shas.count > 1 && Int.random(in: 0..<3, using: &generator) == 0
    sha = isForced ? shas.randomElement(using: &generator) ?? sha : newSha(using: &generator)
    guard sha != before else { return }
    isPush = !isForced
    try add("synchronize", ["before": "\"\(before)\""], oldrev: before)
  }

  // MARK: Events

  private mutating func add(
    _ action: String, _ fields: [String: String] = [:], _ gitlab: [String] = [], event: String = "pull_request",
    gitlab more: [String] = [], oldrev: String? = nil
  ) throws {
    log.append("\(second) \(action) \(sha.prefix(4)) \(base)\(isDraft ? " draft" : "")")
    if platform == .github {
      try addGitHub(action, fields, event: event)
    } else {
      try addGitLab(action, changes: gitlab + more, oldrev: oldrev)
    }
  }

  private mutating func addGitHub(_ action: String, _ more: [String: String], event: String) throws {
    let repository = #"{"id":\#(1_000 + number),"full_name":"\#(name)"}"#
    let fields = [
      "action": "\"\(action)\"", "repository": repository, "pull_request.number": "\(number)",
      "pull_request.head.sha": "\"\(sha)\"", "pull_request.head.repo": repository,
      "pull_request.base.ref": "\"\(base)\"", "pull_request.draft": "\(isDraft)",
      "pull_request.state": isOpen ? "\"open\"" : "\"closed\"",
      "pull_request.updated_at": "\"\(time("T"))Z\"",
    ]
    events.append(try .github("opened", fields.merging(more) { $1 }, event: event))
  }

  private mutating func addGitLab(_ action: String, changes: [String], oldrev: String?) throws {
    let names = ["opened": "open", "closed": "close", "reopened": "reopen", "open": "open"]
    var fields = [
      "project": #"{"id":\#(1_000 + number),"path_with_namespace":"\#(name)"}"#,
      "object_attributes.iid": "\(number)", "object_attributes.action": "\"\(names[action] ?? "update")\"",
      "object_attributes.last_commit.id": "\"\(sha)\"", "object_attributes.target_branch": "\"\(base)\"",
      "object_attributes.draft": "\(isDraft)", "object_attributes.work_in_progress": "\(isDraft)",
      "object_attributes.state": isOpen ? "\"opened\"" : "\"closed\"",
      "object_attributes.updated_at": "\"\(time(" ")) UTC\"", "changes": "{}",
    ]
    if let oldrev { fields["object_attributes.oldrev"] = "\"\(oldrev)\"" }
    for name in changes {
      fields["changes.\(name)"] =
        switch name {
        case "draft": #"{"previous":\#(!isDraft),"current":\#(isDraft)}"#
        case "labels": #"{"previous":[],"current":[{"title":"x"}]}"#
        case "target_branch": #"{"previous":"x","current":"\#(base)"}"#
        default: #"{"previous":"x","current":"y"}"#
        }
    }
    events.append(try .gitlab(integration: integration, fields))
  }

  private func time(_ separator: String) -> String {
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "2026-01-01\(separator)10:\(two(second / 60)):\(two(second % 60))"
  }
}

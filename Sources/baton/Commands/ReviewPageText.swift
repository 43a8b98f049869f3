internal import Primitives
internal import ReviewStore
internal import Reviews
internal import WorkerAPI

/// A review on one page, for people.
struct ReviewPageText {
  var review: Review
  var transitions: [ReviewTransition]
  /// The cancels that the worker has not accepted.
  var undeliveredCancels: [UndeliveredCancel] = []
  /// The reactions and checks that could not be delivered, or were given up.
  var undeliveredFeedback: [UndeliveredFeedback] = []
  /// Why it is not on its way; nil if it is.
  var blockReason: BlockReason?
  var events: [RunEvent]?
  var now: Timestamp

  private static let labelWidth = 18

  /// - Parameter width: of the terminal: long values take several lines, and tables are cut to it.
  func lines(width: Int?, usesColor: Bool) -> [String] {
    var lines = fields(width, usesColor)
    lines += ["", Style.bold.applied(to: "TRANSITIONS", usesColor)]
    lines += transitionTable.lines(width: width, usesColor: usesColor).dropFirst()
    if let events {
      lines += ["", Style.bold.applied(to: "EVENTS OF THE WORKER", usesColor)]
      lines +=
        events.isEmpty ? ["none"] : Array(eventTable(events).lines(width: width, usesColor: usesColor).dropFirst())
    }
    return lines
  }

  // MARK: Fields

  private func fields(_ width: Int?, _ usesColor: Bool) -> [String] {
    var lines: [String] = []
    func add(_ label: String, _ value: String?, _ style: Style? = nil) {
      let name = Style.dim.applied(to: label, usesColor) + padding(label)
      let room = width.map { max($0 - Self.labelWidth, 20) }
      let values = (value.map { DisplayText.safeLines($0) } ?? ["—"]).flatMap { Wrapped.long($0, width: room) }
      for (index, value) in values.enumerated() {
        lines.append((index == 0 ? name : padding("")) + (style?.applied(to: value, usesColor) ?? value))
      }
    }
    add("id", review.id.lowercase)
    add("status", review.status.rawValue, review.status.style)
    add("reason", review.statusReason)
    if let blockReason { add("waits", "\(blockReason.title). \(blockReason.advice)", .yellow) }
    if review.errorCode != nil || review.errorMessage != nil {
      add("error code", review.errorCode, .red)
      add("error message", review.errorMessage, .red)
      if let advice = review.advice { add("what to do", advice, .yellow) }
    }
    for cancel in undeliveredCancels { add("cancel at worker", text(cancel), .yellow) }
    for feedback in undeliveredFeedback { add("feedback", text(feedback), .yellow) }
    add("owner", "\(review.owner)")
    add("user", review.userId)
    addPullRequest(add)
    addDispatch(add)
    addRun(add)
    return lines
  }

  private func times(_ count: Int) -> String { count == 1 ? "once" : "\(count) times" }

  private func text(_ cancel: UndeliveredCancel) -> String {
    let outlook =
      if let givenUpAt = time(cancel.givenUpAt) {
        "given up \(givenUpAt); the run may still be going on"
      } else {
        "next try \(time(cancel.nextTry) ?? "soon")"
      }
    return
      "attempt \(cancel.attempt) not accepted, tried \(times(cancel.tries)), \(outlook): \(cancel.lastError)"
  }

  private func text(_ feedback: UndeliveredFeedback) -> String {
    let outlook =
      if let givenUpAt = time(feedback.givenUpAt) {
        "given up \(givenUpAt), until the review changes once more"
      } else {
        "next try \(time(feedback.nextTry) ?? "soon")"
      }
    return
      "\(feedback.subject.rawValue) not delivered, due \(time(feedback.dueSince) ?? "now"), tried \(times(feedback.tries)), "
      + "\(outlook): \(feedback.lastError)"
  }

  private typealias Add = (String, String?, Style?) -> Void

  private func addPullRequest(_ add: Add) {
    add("pull request", "\(review.pullRequest) (\(review.platform.rawValue))", nil)
    add("url", review.prUrl, nil)
    add("title", review.prTitle, nil)
    add("author", review.prAuthor, nil)
    add("branches", "\(review.headRef) → \(review.baseRef)", nil)
    add("commit", review.headSha, nil)
    add("integration", review.platformIntegrationId?.lowercase, nil)
    add("project id", review.platformProjectId.map { "\($0)" }, nil)
    add("repository id", review.platformRepositoryId.map { "\($0)" }, nil)
    add("changed there", time(review.prUpdatedAt), nil)
    add("check run", review.checkRunId.map { "\($0)" }, nil)
  }

  private func addDispatch(_ add: Add) {
    add("priority", "\(review.priority)", nil)
    add("attempt", "\(review.attempt)", nil)
    add("created", time(review.createdAt), nil)
    add(
      "available", review.availableAt == .infinity ? "never, until available_at is changed" : time(review.availableAt),
      nil)
    add("claimed", time(review.claimedAt), nil)
    add("published", time(review.publishedAt), nil)
    add("prepared", time(review.preparedAt), nil)
    add("dispatched", time(review.dispatchedAt), nil)
    add("started", time(review.startedAt), nil)
    add("completed", time(review.completedAt), nil)
    add("updated", time(review.updatedAt), nil)
    add("lease", review.leaseOwner.map { "\($0), until \(time(review.leaseExpiresAt) ?? "—")" }, nil)
    add("republished", "\(review.republishCount)", review.republishCount > 0 ? .yellow : nil)
    add("lease losses", "\(review.leaseLosses)", review.leaseLosses > 0 ? .yellow : nil)
    add("dispatch failures", "\(review.dispatchFailures)", review.dispatchFailures > 0 ? .yellow : nil)
  }

  private func addRun(_ add: Add) {
    add("gate result", review.gateResult, nil)
    add("session", review.sessionId, nil)
    add("cli session", review.cliSessionId, nil)
    add("previous session", review.previousSessionId, nil)
    add("agent version", review.agentVersion, nil)
    add("model", review.model, nil)
    add("tokens in, out", pair(review.totalTokensIn, review.totalTokensOut), nil)
    add("cost", review.totalCostMicrousd.map { Self.dollars(microdollars: $0) }, nil)
  }

  private func padding(_ label: String) -> String {
    String(repeating: " ", count: max(1, Self.labelWidth - label.count))
  }

  private func time(_ time: Timestamp?) -> String? {
    time.map { time in
      guard time.isFinite else { return "\(Times.clock(time)) (\(Times.relative(time, to: now)))" }
      return "\(Times.clock(time)) UTC (\(Times.relative(time, to: now)))"
    }
  }

  private func pair(_ first: Int64?, _ second: Int64?) -> String? {
    first == nil && second == nil ? nil : "\(first.map { "\($0)" } ?? "—"), \(second.map { "\($0)" } ?? "—")"
  }

  static func dollars(microdollars: Int64) -> String {
    let (whole, rest) = microdollars.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
    let digits = "\(rest)"
    return "\(microdollars < 0 ? "-" : "")$\(whole).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
  }

  // MARK: What happened

  private var transitionTable: Table {
    var table = Table([.left("AT"), .right("AFTER"), .left("STATUS"), .left("ACTOR"), .prose("REASON")])
    for transition in transitions {
      table.append([
        .init(Times.clock(transition.at), .dim), .init("+" + Times.span(transition.at.since(review.createdAt))),
        .init(transition.toStatus.rawValue, transition.toStatus.style), .init(transition.actor, .dim),
        .init(transition.reason ?? ""),
      ])
    }
    return table
  }

  private func eventTable(_ events: [RunEvent]) -> Table {
    var table = Table([.left("AT"), .left("TYPE"), .prose("MESSAGE")])
    for event in events {
      let content = event.content.flatMap { try? Output.jsonText($0) }
      let text = [event.message, content].compactMap { $0 }.joined(separator: "  ")
      table.append([.init(Times.clock(event.timestamp), .dim), .init(event.eventType), .init(text)])
    }
    return table
  }
}

extension Review {
  /// What the operator can do about its error code; nil without one, or if this version does not know it.
  var advice: String? { errorCode.flatMap { ErrorCode(rawValue: $0)?.advice } }
}

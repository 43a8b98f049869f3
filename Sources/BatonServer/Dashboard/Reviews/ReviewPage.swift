internal import Primitives
internal import ReviewStore
internal import Reviews
internal import WorkerAPI

/// One review: where it stands and why, what can be done, what happened, and what its run says.
struct ReviewPage: Sendable {
  let detail: ReviewDetail

  private var review: Review { detail.review }

  /// Events shown; a run may have thousands.
  private static let eventCountMax = 300
  /// Characters of an event's text.
  private static let textCountMax = 2_000

  var title: String { "\(review.repoFullName) #\(review.prNumber)" }

  var body: HTML {
    """
    <h1>\(HTML.foreign(review.prTitle))</h1>
    <p class="under">\(HTML.link(to: review.prUrl, HTML.foreign(title))) by \(HTML.foreign(review.prAuthor)),\
     owner \(HTML.link(to: review.owner))</p>
    \(sections.map(\.element))
    """
  }

  var sections: [Section] {
    [
      Section("standing", standing), Section("actions", actions), Section("feedback", feedback),
      Section("facts", facts), Section("transitions", transitions), Section("events", events),
    ]
  }

  // MARK: Standing

  private var standing: HTML {
    """
    <h2 class="unseen">Standing</h2>
    <p class="standing">\(HTML.status(review.status)) <span data-voice="voice">\(reason)</span></p>
    \(detail.blockReason.map { "<p class=\"held\">\(Advice.html($0.advice))</p>" } ?? HTML.none)
    \(failure)\(cancels)
    """
  }

  private var reason: HTML {
    let attempt: HTML? = review.attempt > 1 ? "attempt \(review.attempt)" : nil
    return [why, attempt].compactMap { $0 }.joined(", ")
  }

  private var why: HTML? {
    if let blockReason = detail.blockReason {
      return blockReason == .dueLater ? "\(blockReason.title) \(HTML.time(review.availableAt))" : "\(blockReason.title)"
    }
    switch review.status {
    case .queued where review.dispatchedAt != nil: return "the worker has it"
    case .queued where review.leaseOwner != nil: return "a consumer prepares it"
    case .queued where review.publishedAt != nil: return "in the queue"
    default: return review.statusReason.map { HTML.foreign($0) }
    }
  }

  private var failure: HTML {
    guard review.errorCode != nil || review.errorMessage != nil else { return .none }
    let code = review.errorCode.flatMap { ErrorCode(rawValue: $0) }
    return """
      <div class="failure"><p><code>\(review.errorCode ?? "")</code> \(HTML.foreign(review.errorMessage ?? ""))</p>
      \(code.map { "<p>\(Advice.html($0.advice))</p>" } ?? HTML.none)</div>
      """
  }

  private var actions: HTML {
    let buttons = ReviewOperation.allCases.filter { $0.isPossible(for: review, now: detail.now) }
      .map { Self.button($0, review) }
    return buttons.isEmpty
      ? .none : "<h2 class=\"unseen\">Actions</h2><p class=\"actions\">\(buttons.joined(" "))</p>"
  }

  /// The button that starts a review again; nothing if that is not possible.
  static func retry(_ review: Review) -> HTML {
    ReviewOperation.retry.statuses.contains(review.status) ? button(.retry, review) : .none
  }

  private static func button(_ operation: ReviewOperation, _ review: Review) -> HTML {
    HTML.button(
      operation == .release ? "Release: due now" : "\(operation.title)",
      path: "/reviews/\(review.id.lowercase)/\(operation.rawValue)", kind: operation.kind,
      confirm: operation == .cancel ? "Press again to cancel" : "")
  }

  // MARK: Feedback

  /// Only what could not be delivered: the rest can be seen on the pull request.
  private var feedback: HTML {
    guard !detail.undeliveredFeedback.isEmpty else { return .none }
    return "<h2 class=\"unseen\">Feedback</h2>\(detail.undeliveredFeedback.map(item))"
  }

  /// Only what the worker has not accepted.
  private var cancels: HTML { "\(detail.undeliveredCancels.map(item))" }

  private func item(_ cancel: UndeliveredCancel) -> HTML {
    let outlook: HTML =
      if let givenUpAt = cancel.givenUpAt {
        "given up \(HTML.time(givenUpAt)); its run may still be going on"
      } else {
        "next \(HTML.time(cancel.nextTry))"
      }
    return """
      <div class="failure\(cancel.givenUpAt == nil ? " later" : "")"><p>The worker has not accepted the cancel of attempt \
      \(cancel.attempt): tried \(Reading.count(cancel.tries, "time")) since \(HTML.time(cancel.since)), \(outlook).</p>
      <p class="quote">\(HTML.foreign(cancel.lastError))</p></div>
      """
  }

  private func item(_ undelivered: UndeliveredFeedback) -> HTML {
    let outlook: HTML =
      if let givenUpAt = undelivered.givenUpAt {
        "given up \(HTML.time(givenUpAt)), until the review changes once more"
      } else {
        "next \(HTML.time(undelivered.nextTry))"
      }
    return """
      <div class="failure\(undelivered.givenUpAt == nil ? " later" : "")"><p>\(undelivered.subject.title) could not be \
      delivered: due \(HTML.time(undelivered.dueSince)), tried \(Reading.count(undelivered.tries, "time")), \(outlook).</p>
      <p class="quote">\(HTML.foreign(undelivered.lastError))</p></div>
      """
  }

  // MARK: Facts

  private var facts: HTML {
    let cost = review.totalCostMicrousd.map { micro -> HTML in
      let (whole, rest) = micro.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
      return "\(micro < 0 ? "-" : "")$\(String(whole)).\(String(String(1_000_000 + rest).dropFirst().prefix(4)))"
    }
    let all: [(HTML, HTML?)] = [
      ("Id", "<code>\(review.id.lowercase)</code>"),
      ("Commit", "<code>\(review.headSha.prefix(12))</code> \(HTML.foreign("\(review.headRef) → \(review.baseRef)"))"),
      ("Platform", "\(review.platform.rawValue)"), ("Priority", review.priority == 0 ? nil : "\(review.priority)"),
      ("Attempt", "\(review.attempt)"), ("Created", HTML.time(review.createdAt)),
      ("Due", review.status == .pending ? HTML.time(review.availableAt) : nil),
      ("Claimed", review.claimedAt.map { HTML.time($0) }), ("Published", review.publishedAt.map { HTML.time($0) }),
      ("Dispatched", dispatched), ("Started", review.startedAt.map { HTML.time($0) }), ("Ended", ended),
      ("Republished", review.republishCount == 0 ? nil : "\(review.republishCount) times"),
      ("Consumers lost", review.leaseLosses == 0 ? nil : "\(review.leaseLosses)"),
      ("Failed dispatches", review.dispatchFailures == 0 ? nil : "\(review.dispatchFailures)"),
      ("Session", review.sessionId.map { "<code>\($0)</code>" }),
      ("Agent", review.agentVersion.map { HTML.foreign($0) }), ("Model", review.model.map { HTML.foreign($0) }),
      ("Tokens", tokens), ("Cost", cost),
    ]
    let shown = all.compactMap { name, value in
      value.map { value -> HTML in "<div><dt>\(name)</dt><dd>\(value)</dd></div>" }
    }
    return "<h2 class=\"unseen\">Facts</h2><dl class=\"facts\">\(shown)</dl>"
  }

  private var dispatched: HTML? {
    review.dispatchedAt.map {
      "\(HTML.time($0)) <small>\(Reading.span($0.since(review.availableAt))) after it was due</small>"
    }
  }

  private var ended: HTML? {
    review.completedAt.map { end in
      let ran = review.startedAt.map { "ran \(Reading.span(end.since($0)))" } ?? ""
      return "\(HTML.time(end)) <small>\(ran)</small>"
    }
  }

  private var tokens: HTML? {
    guard review.totalTokensIn != nil || review.totalTokensOut != nil else { return nil }
    let (input, output) = (Int(review.totalTokensIn ?? 0), Int(review.totalTokensOut ?? 0))
    return "\(Reading.grouped(input)) in, \(Reading.grouped(output)) out"
  }

  // MARK: What happened

  private var transitions: HTML {
    var before: Timestamp?
    let items = detail.transitions.map { transition -> HTML in
      let after = before.map { "+\(Reading.span(transition.at.since($0)))" } ?? ""
      before = transition.at
      return """
        <li>\(HTML.status(transition.toStatus)) <span>\(HTML.foreign(transition.reason ?? ""))</span>\
        <small>\(HTML.time(transition.at)) <b>\(after)</b> \(HTML.foreign(transition.actor ?? ""))</small></li>
        """
    }
    return "<h2>Transitions</h2><ol class=\"history\">\(items)</ol>"
  }

  private var events: HTML {
    switch detail.events {
    case .none: return "<h2>Worker's events</h2><p class=\"empty\">It has not been handed to a worker.</p>"
    case .unknown(let fault):
      return "<h2>Worker's events</h2><p class=\"fault\">They cannot be had now. \(HTML.foreign(fault))</p>"
    case .known(let events) where events.isEmpty:
      return "<h2>Worker's events</h2><p class=\"empty\">The worker has none.</p>"
    case .known(let events):
      let left = events.count - Self.eventCountMax
      let note: HTML =
        left > 0 ? "<p class=\"empty\">The newest \(Self.eventCountMax); \(Reading.grouped(left)) older.</p>" : ""
      return "<h2>Worker's events</h2>\(note)<ol class=\"events\">\(events.suffix(Self.eventCountMax).map(item))</ol>"
    }
  }

  private func item(_ event: RunEvent) -> HTML {
    let content = event.content.flatMap { try? JSONCoding.encode($0) }.map { String(decoding: $0, as: UTF8.self) }
    let text = event.message ?? content ?? ""
    let shown = text.count > Self.textCountMax ? String(text.prefix(Self.textCountMax)) + "…" : text
    return """
      <li><small>\(HTML.time(event.timestamp))</small> <code>\(HTML.foreign(event.eventType))</code>\
      <span>\(HTML.foreign(shown))</span></li>
      """
  }
}

extension PullRequestFeedback.Subject {
  /// At the beginning of a sentence.
  fileprivate var title: HTML {
    switch self {
    case .eyes: "The reaction “eyes”, that Baton has seen the pull request,"
    case .hooray: "The reaction “hooray”, that the review is completed,"
    case .confused: "The reaction “confused”, that the review has failed,"
    case .gate: "The pull request's check"
    }
  }
}

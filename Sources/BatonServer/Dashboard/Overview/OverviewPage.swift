internal import Primitives
internal import ReviewStore
internal import Reviews

/// The front page: is anything stuck, why, and what to do; then the figures that say how it goes.
struct OverviewPage: Sendable {
  let overview: Overview

  /// Owners shown.
  private static let ownerCountMax = 20
  /// Problems of one grade that are shown by name.
  private static let linkCountMax = 3

  var sections: [Section] {
    [
      Section("verdict", verdict), Section("load", load), Section("charts", charts), Section("owners", owners),
      Section("failures", failures), Section("processes", processes),
    ]
  }

  // MARK: Verdict

  private var verdict: HTML {
    let problems = overview.problems
    let grade = problems.first?.grade ?? .note
    let headline: HTML =
      switch grade {
      case .bad: "Reviews are stuck"
      case .warning: "Something needs a look"
      case .note: "All is well"
      }
    return """
      <h1 class="\(grade.name)" data-voice="voice">\(headline)</h1>
      <ul class="problems">\(problems.map(item))</ul>
      """
  }

  private func item(_ problem: Problem) -> HTML {
    let links = problem.links.prefix(Self.linkCountMax).map { $0 }
    return """
      <li class="\(problem.grade.name)"><h2><span class="grade">\(problem.grade.label)</span> \(problem.title)\
      \(problem.time.map { " <small>\(HTML.time($0))</small>" } ?? HTML.none)</h2>
      <p>\(problem.advice)\(links.isEmpty ? HTML.none : " <span class=\"see\">\(links.joined(" "))</span>")</p></li>
      """
  }

  // MARK: Load

  private var load: HTML {
    let stats = overview.stats
    let hour = overview.flow
    let oldestQueued = stats.oldestQueued.map {
      // Whole seconds, so that the same review's time stays the same text.
      let then = overview.now.microseconds - Int64($0 / .microseconds(1))
      return Timestamp(microseconds: (then + 500_000) / 1_000_000 * 1_000_000)
    }
    return """
      <h2 class="unseen">Load</h2>
      <dl class="tiles">
      \(tile("Pending", count(stats.counts[.pending]), overview.owners.compactMap(\.dueSince).min(), link: "pending"))
      \(tile("Queued", count(stats.counts[.queued]), oldestQueued, link: "queued"))
      \(tile("Running", count(stats.counts[.running]), nil, link: "running"))
      \(tile("Completed", count(hour.reduce(0) { $0 + $1.completed }), nil, note: "last hour", link: "completed"))
      \(tile("Failed", count(hour.reduce(0) { $0 + $1.failed }), nil, note: "last hour", link: "failed"))
      \(tile("Cancelled", count(hour.reduce(0) { $0 + $1.cancelled }), nil, note: "last hour", link: "cancelled"))
      </dl>
      <dl class="tiles broker">
      \(tile("In the queue", count(overview.queue?.ready), nil))
      \(tile("Unacknowledged", count(stats.unacknowledged), nil))
      \(tile("Consumers", count(overview.queue?.consumers), nil))
      \(tile("<a href=\"/dead-letters\">Dead letters</a>", count(overview.queue?.dead), nil))
      </dl>
      """
  }

  private func count(_ number: Int?) -> HTML { number.map { "\(Reading.grouped($0))" } ?? "–" }

  private func tile(_ name: HTML, _ value: HTML, _ oldest: Timestamp?, note: HTML = "", link: String = "") -> HTML {
    let title: HTML = link.isEmpty ? name : "<a href=\"/reviews?status=\(link)\">\(name)</a>"
    let below: HTML = oldest.map { "<small>oldest \(HTML.time($0))</small>" } ?? "<small>\(note)</small>"
    return "<div class=\"\(link)\"><dt>\(title)</dt><dd>\(value) \(below)</dd></div>"
  }

  private var charts: HTML {
    "<h2 class=\"unseen\">The last hour</h2><div class=\"charts\">\(overview.charts.map(\.figure))</div>"
  }

  // MARK: Owners

  private var owners: HTML {
    let shown = overview.owners.prefix(Self.ownerCountMax)
    guard !shown.isEmpty else {
      return "<h2>Owners</h2><p class=\"empty\">No owner has a review that has not ended.</p>"
    }
    let more = overview.owners.count - shown.count
    return """
      <h2>Owners <small>under way, against their limits</small></h2>
      <table class="owners"><thead><tr><th scope="col">Owner</th><th scope="col">Under way</th>\
      <th scope="col" class="number">Due</th><th scope="col" class="number">Later</th><th scope="col">Oldest due</th>\
      <th scope="col"><span class="unseen">Action</span></th></tr></thead>
      <tbody>\(shown.map(Self.row))</tbody></table>
      \(more > 0 ? "<p class=\"empty\">and \(Reading.count(more, "owner")) more</p>" : HTML.none)
      """
  }

  /// An owner's row; its page of reviews shows the same.
  static func row(_ owner: OwnerLoad) -> HTML {
    let why: HTML = owner.isPaused ? " <span class=\"tag\">paused</span>" : ""
    return """
      <tr><th scope="row">\(HTML.link(to: owner.owner))\(why)</th><td>\(bar(owner))</td>\
      <td class="number" data-label="Due">\(Reading.grouped(owner.due))</td>\
      <td class="number" data-label="Later">\(Reading.grouped(owner.later))</td>\
      <td data-label="Oldest due">\(HTML.time(owner.dueSince))</td><td class="action">\(toggle(owner))</td></tr>
      """
  }

  private static func toggle(_ owner: OwnerLoad) -> HTML {
    let name = owner.owner.description
    let of: HTML = "<span class=\"unseen\"> \(HTML.foreign(name))</span>"
    return owner.isPaused
      ? HTML.button("Resume\(of)", path: "/owners/resume", subject: name)
      : HTML.button("Pause\(of)", path: "/owners/pause", subject: name, kind: "quiet")
  }

  private static func bar(_ owner: OwnerLoad) -> HTML {
    let whole = max(owner.limit, owner.active, 1)
    let running = owner.running * 100 / whole
    let queued = owner.queued * 100 / whole
    return """
      <span class="bar \(owner.active >= owner.limit ? "full" : "")"><svg viewBox="0 0 100 8" preserveAspectRatio="none"\
       aria-hidden="true"><rect class="room" width="100" height="8"/><rect class="running" width="\(running)" height="8"/>\
      <rect class="queued" x="\(running)" width="\(queued)" height="8"/></svg>\
      <span title="\(owner.running) running, \(owner.queued) queued">\(Reading.grouped(owner.active)) of \(Reading.grouped(owner.limit))</span></span>
      """
  }

  // MARK: Failures and processes

  private var failures: HTML { failureTable + versions }

  /// By the worker's version, so that a deploy that fails reviews is seen.
  private var versions: HTML {
    guard overview.versions.contains(where: { $0.failed > 0 }) || overview.versions.count > 1 else {
      return .none
    }
    let rows = overview.versions.map { version -> HTML in
      let name: HTML = version.version.map { "<code>\($0)</code>" } ?? "without a name"
      let share: HTML =
        version.ended > 0 ? " <small>\(version.failed * 100 / version.ended) %</small>" : ""
      return """
        <tr><th scope="row">\(name)</th><td data-label="First seen">\(HTML.time(version.firstSeen))</td>\
        <td class="number" data-label="Ended">\(Reading.grouped(version.ended))</td>\
        <td class="number" data-label="Failed">\(Reading.grouped(version.failed))\(share)</td></tr>
        """
    }
    return """
      <h2>Worker versions <small>what ended in the last hour</small></h2>
      <table class="versions"><thead><tr><th scope="col">Version</th><th scope="col">First seen</th>\
      <th scope="col" class="number">Ended</th><th scope="col" class="number">Failed</th></tr></thead><tbody>\(rows)</tbody></table>
      """
  }

  private var failureTable: HTML {
    guard !overview.failures.isEmpty else {
      return "<h2>Failures</h2><p class=\"empty\">No review has failed in the last 24 hours.</p>"
    }
    let rows = overview.failures.map { group -> HTML in
      let code = group.code.flatMap { ErrorCode(rawValue: $0) }
      return """
        <tr><th scope="row"><code>\(group.code ?? "none")</code></th><td class="number" data-label="Reviews">\
        \(Reading.grouped(group.count))</td><td data-label="Last">\(HTML.time(group.lastAt)) \(HTML.link(to: group.lastID))</td>\
        <td class="wide">\(Advice.html(code?.advice ?? "Read the message."))\
        <p class="quote">\(HTML.foreign(group.lastMessage ?? ""))</p></td></tr>
        """
    }
    let total = overview.failures.reduce(0) { $0 + $1.count }
    return """
      <h2>Failures <small>of the last 24 hours\(total < ReviewStore.failureCountMax ? "" : ", the newest 1,000")</small></h2>
      <table class="failures"><thead><tr><th scope="col">Code</th><th scope="col" class="number">Reviews</th>\
      <th scope="col">Last</th><th scope="col">What to do</th></tr></thead><tbody>\(rows)</tbody></table>
      """
  }

  private func roles(of holder: HolderStanding) -> HTML {
    guard !holder.health.roles.isEmpty else { return "\(holder.role)" }
    return holder.health.roles.map { role -> HTML in "\(role)" }.joined(", ")
  }

  private func state(of holder: HolderStanding) -> HTML {
    if holder.isDead { return "<span class=\"tag bad\">dead</span>" }
    let version: HTML = holder.health.version.map { " <small>\($0)</small>" } ?? HTML.none
    return holder.health.faults.isEmpty
      ? "<span class=\"tag\">alive</span>\(version)" : "<span class=\"tag bad\">held back</span>\(version)"
  }

  private var processes: HTML {
    guard !overview.holders.isEmpty else {
      return "<h2>Processes</h2><p class=\"empty\">No process has signed on.</p>"
    }
    let rows = overview.holders.map { holder -> HTML in
      """
      <tr class="\(holder.isDead ? "dead" : "")"><th scope="row">\(roles(of: holder))</th>\
      <td>\(holder.host) <small>\(holder.processID)</small></td>\
      <td>\(state(of: holder))</td>\
      <td class="number" data-label="In flight">\(Reading.grouped(holder.inFlight))</td>\
      <td data-label="Up since">\(HTML.time(holder.startedAt))</td></tr>
      """
    }
    let rest = (overview.health?.processCount ?? 0) - overview.holders.count
    let more: HTML = rest > 0 ? "<p class=\"empty\">and \(Reading.grouped(rest)) more</p>" : ""
    return """
      <h2>Processes</h2>
      <table class="processes"><thead><tr><th scope="col">Role</th><th scope="col">Host, process</th><th scope="col">State</th>\
      <th scope="col" class="number">In flight</th><th scope="col">Up since</th></tr></thead><tbody>\(rows)</tbody></table>\(more)
      """
  }
}

/// Advice as ``ErrorCode`` gives it: plain text with commands in backticks.
enum Advice {
  static func html(_ text: String) -> HTML {
    var parts: [HTML] = []
    for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
      parts.append(index % 2 == 0 ? "\(part)" : "<code>\(part)</code>")
    }
    return parts.joined("")
  }
}

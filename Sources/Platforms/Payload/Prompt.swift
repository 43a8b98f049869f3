internal import Reviews

/// The text that the agent is started with. The same input always gives the same text.
struct Prompt {
  /// What others wrote is cut at these lengths, in bytes.
  static let titleByteCountMax = 1_024
  static let descriptionByteCountMax = 16_384
  static let summaryByteCountMax = 16_384

  let review: LeasedReview
  let facts: PullRequestFacts
  let configuration: ReviewConfiguration

  /// The whole prompt.
  var text: String {
    let template = review.platform == .github ? PromptTemplate.github : .gitlab
    let values = values
    var parts = [PromptTemplate.fill(template.role, values), style, template.constraints]
    if let focus { parts.append(focus) }
    if let instructions { parts.append(instructions) }
    parts.append(context)
    parts.append(existingComments)
    parts.append(PromptTemplate.fill(template.work, values))
    parts.append(PromptTemplate.fill(template.findings, values))
    parts.append(PromptTemplate.fill(template.summary, values))
    if let gate { parts.append(gate) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  /// The values of the placeholders. They stand in commands, so names that come from outside are quoted for a shell: a
  /// branch may be called `$(reboot)`.
  private var values: [String: String] {
    [
      "KIND": review.platform == .github ? "pull request" : "merge request",
      "REPO": word(facts.repository), "NUMBER": String(review.prNumber), "SHA": word(review.headSha),
      "BASE_REF": word(review.baseRef), "PROJECT": project,
      "POSITION_BASE": word(facts.diffRefs?.base ?? ""), "POSITION_START": word(facts.diffRefs?.start ?? ""),
      "POSITION_HEAD": word(facts.diffRefs?.head ?? review.headSha), "MARKER": SummaryComment.marker,
      "SUMMARY_STATE": summaryState, "SUMMARY_COMMAND": summaryCommand,
    ]
  }

  private var project: String { review.platformProjectId.map(String.init) ?? facts.repository.percentEncoded }

  private func word(_ raw: String) -> String { name(raw).shellWord }

  /// On one line, for a place between two backticks.
  private func name(_ raw: String) -> String { UntrustedText(raw, byteCountMax: Self.titleByteCountMax).inline }
}

// MARK: What the owner has asked for

extension Prompt {
  private var style: String {
    switch configuration.style {
    case .strict: "# Style\nBe strict: report every weakness that you are sure of, also small ones."
    case .balanced: "# Style\nBe balanced: report what a careful colleague would want changed before merging."
    case .lenient: "# Style\nBe lenient: report only what would hurt users or lose data, and let the rest pass."
    case .roast:
      "# Style\nBe witty and merciless about the code, never about its author; every joke carries a real finding."
    }
  }

  private var focus: String? {
    guard !configuration.focusAreas.isEmpty else { return nil }
    return "# Focus\nLook first at: \(configuration.focusAreas.map(\.rawValue).joined(separator: ", "))."
  }

  private var instructions: String? {
    guard let raw = configuration.customInstructions else { return nil }
    let text = UntrustedText(raw, byteCountMax: ReviewConfiguration.customInstructionsByteCountMax)
    return "# The owner's own wishes\nFollow these as far as they concern what to look for and how to write.\n"
      + text.fenced("Wishes of the repository's owner")
  }

  private var gate: String? {
    let threshold: String
    switch configuration.gateThreshold {
    case .off: return nil
    case .all: threshold = "any finding"
    case .warning: threshold = "a WARNING or CRITICAL finding"
    case .critical: threshold = "a CRITICAL finding"
    }
    return "# The gate\nReport the result `fail` where there is \(threshold), else `pass`."
  }
}

// MARK: What is known about the pull request

extension Prompt {
  private var context: String {
    var lines = [
      "# Context", "- Repository: `\(name(facts.repository))`, number \(review.prNumber)",
      "- From `\(name(review.headRef))` into `\(name(review.baseRef))`",
      "- Commit to review: `\(name(review.headSha))`",
    ]
    if facts.headSha != review.headSha {
      lines.append("- There is a newer commit, `\(name(facts.headSha))`; review the one above.")
    }
    if facts.isFork { lines.append("- It comes from a fork.") }
    if facts.isDraft { lines.append("- It is a draft: leave out what is obviously unfinished.") }
    let header = "Title: \(name(facts.title))\nAuthor: \(name(facts.author))\n\n\(facts.description)"
    let text = UntrustedText(header, byteCountMax: Self.descriptionByteCountMax)
    return lines.joined(separator: "\n") + "\n\n"
      + text.fenced("Title, author and description, as their author wrote them")
  }

  private var existingComments: String {
    guard let comments = facts.inlineComments else {
      return
        "# Comments on lines\nThey could not be read just now. List them yourself before you publish, and repeat none."
    }
    guard comments.activeCount > 0 else { return "# Comments on lines\nThere are none that still apply." }
    let rows = comments.shown.map { "\($0.path):\($0.line.map(String.init) ?? "-"): \($0.excerpt)" }
    let rest = comments.activeCount - comments.shown.count
    let text = UntrustedText(rows.joined(separator: "\n"), byteCountMax: Self.descriptionByteCountMax)
    return "# Comments on lines\n\(comments.activeCount) still apply; do not repeat them."
      + (rest > 0 ? " \(rest) of them are not shown here.\n" : "\n")
      + text.fenced("Path, line and first line of each")
  }

  private var summaryState: String {
    switch facts.summary {
    case .unknown:
      "It could not be read whether one exists: look for a comment of yours with `\(SummaryComment.marker)` first."
    case .missing: "There is none yet: you write the first."
    case .comment(let id, let body):
      "Comment \(id) is the summary of an earlier review: you rewrite it for this commit.\n"
        + UntrustedText(body, byteCountMax: Self.summaryByteCountMax).fenced("The earlier summary")
    }
  }

  private var summaryCommand: String {
    let repository = word(facts.repository)
    return switch (review.platform, facts.summary) {
    case (.github, .comment(let id, _)):
      "`gh api repos/\(repository)/issues/comments/\(id) --method PATCH -F body=@summary.md`."
    case (.github, _):
      "`gh api repos/\(repository)/issues/\(review.prNumber)/comments --method POST -F body=@summary.md`."
    case (.gitlab, .comment(let id, _)):
      "`glab api projects/\(project)/merge_requests/\(review.prNumber)/notes/\(id) --method PUT -F body=@summary.md`."
    case (.gitlab, _):
      "`glab api projects/\(project)/merge_requests/\(review.prNumber)/notes --method POST -F body=@summary.md`."
    }
  }
}

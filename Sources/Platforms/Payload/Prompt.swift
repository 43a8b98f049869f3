internal import Primitives
internal import Reviews

/// The text that the agent is started with. The same input always gives the same text.
///
/// The wording is the template's; here stands which of its parts apply, and with which values.
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
    var values = values
    values["VERSION"] = template.version
    values["FORMS"] = template.part("forms", values)
    return template.order.compactMap { name in
      variant(of: name).flatMap { template.part($0, values) }
    }.joined(separator: "\n\n") + "\n"
  }

  /// Which form a part of the template takes; nil if it does not apply.
  private func variant(of part: String) -> String? {
    switch part {
    case "style": "style.\(configuration.style.rawValue)"
    case "instructions": configuration.customInstructions == nil ? nil : part
    case "workflow": isIncremental ? "workflow.incremental" : "workflow.full"
    case "focus": configuration.focusAreas.isEmpty ? nil : part
    case "format": configuration.style == .roast ? "format.roast" : part
    case "comments":
      switch facts.inlineComments?.activeCount {
      case nil: "comments.unknown"
      case 0?: "comments.none"
      case _?: "comments.some"
      }
    case "summary":
      switch facts.summary {
      case .unknown: "summary.unknown"
      case .missing: "summary.missing"
      case .comment: "summary.existing"
      }
    case "command": summaryID == nil ? "command.create" : "command.update"
    case "gate": configuration.gateThreshold == .off ? nil : "gate.\(configuration.gateThreshold.rawValue)"
    default: part
    }
  }

  /// Whether to go on from an earlier review: its commit is known, and its summary can be read.
  private var isIncremental: Bool {
    guard let previous = review.previousHeadSha, previous != review.headSha, OutsideName.commitFault(previous) == nil
    else { return false }
    return summaryID != nil
  }

  private var summaryID: Int64? {
    if case .comment(let id, _) = facts.summary { id } else { nil }
  }
}

// MARK: Values

extension Prompt {
  /// The values of the placeholders. Those that stand in commands are quoted for a shell, since names come from outside: a
  /// branch may be called `$(reboot)`. Those that end in NAME stand between backticks.
  ///
  /// A branch is fetched by its whole name, as `+main` alone would be the branch `main`, fetched by force.
  private var values: [String: String] {
    [
      "KIND": review.platform == .github ? "pull request" : "merge request", "NUMBER": String(review.prNumber),
      "REPO": facts.repository.shellWord, "REPO_NAME": name(facts.repository), "PROJECT": project,
      "SHA": review.headSha.shellWord, "SHA_NAME": name(review.headSha), "HEAD_REF": name(facts.headRef),
      "FETCH_REF": "refs/heads/\(branch)".shellWord, "BASE_REF": branch.shellWord,
      "BASE_REF_NAME": name(facts.baseRef),
      "PREVIOUS_SHA": (review.previousHeadSha ?? "").shellWord, "PREVIOUS_SHA_NAME": name(review.previousHeadSha ?? ""),
      "POSITION_BASE": (facts.diffRefs?.base ?? "").shellWord,
      "POSITION_START": (facts.diffRefs?.start ?? "").shellWord,
      "POSITION_HEAD": (facts.diffRefs?.head ?? review.headSha).shellWord, "MARKER": SummaryComment.marker,
      "SUMMARY_ID": summaryID.map(String.init) ?? "", "EARLIER_SUMMARY": earlierSummary,
      "FOCUS": configuration.focusAreas.map(\.rawValue).joined(separator: ", "), "INSTRUCTIONS": instructions,
      "NOTES": notes, "WRITTEN": written,
      "ACTIVE_COUNT": String(facts.inlineComments?.activeCount ?? 0), "ACTIVE_COMMENTS": activeComments, "REST": rest,
      "COMMENTS": comments,
    ]
  }

  private var project: String { review.platformProjectId.map(String.init) ?? facts.repository.percentEncoded }

  /// The base branch, without the folder of all branches.
  private var branch: String {
    let folder = "refs/heads/"
    return facts.baseRef.hasPrefix(folder) ? String(facts.baseRef.dropFirst(folder.count)) : facts.baseRef
  }

  /// On one line, for a place between two backticks.
  private func name(_ raw: String) -> String { UntrustedText(raw, byteCountMax: Self.titleByteCountMax).inline }

  private var instructions: String {
    let raw = configuration.customInstructions ?? ""
    return UntrustedText(raw, byteCountMax: ReviewConfiguration.customInstructionsByteCountMax)
      .fenced("Wishes of the repository's owner")
  }

  /// What is special about the pull request.
  private var notes: String {
    var lines: [String] = []
    if facts.headSha != review.headSha {
      lines.append("- There is a newer commit, `\(name(facts.headSha))`; review the one above.")
    }
    if facts.isFork { lines.append("- It comes from a fork.") }
    if facts.isDraft { lines.append("- It is a draft: leave out what is obviously unfinished.") }
    return lines.joined(separator: "\n")
  }

  private var written: String {
    UntrustedText(markdown: facts.description, byteCountMax: Self.descriptionByteCountMax).fenced(
      "Title, author and description, as their author wrote them",
      below: "Title: \(name(facts.title))\nAuthor: \(name(facts.author))\n\n")
  }

  private var earlierSummary: String {
    guard case .comment(_, let body) = facts.summary else { return "" }
    // Its marker is no comment of a stranger.
    let text = body.hasPrefix(SummaryComment.marker) ? String(body.dropFirst(SummaryComment.marker.count)) : body
    return UntrustedText(markdown: text, byteCountMax: Self.summaryByteCountMax).fenced("The earlier summary")
  }

  private var activeComments: String {
    guard let count = facts.inlineComments?.activeCount else { return "an unknown number of comments" }
    return count == 1 ? "1 comment" : "\(count) comments"
  }

  private var rest: String {
    let comments = facts.inlineComments ?? InlineComments()
    let count = comments.activeCount - comments.shown.count
    return count > 0 ? " \(count) of them are not shown here." : ""
  }

  /// The table of the comments that still apply.
  private var comments: String {
    let rows = (facts.inlineComments?.shown ?? []).map { comment in
      "| \(cell(comment.path)) | \(comment.line.map(String.init) ?? "-") | \(cell(comment.excerpt)) |"
    }
    let table = ["| path | line | first line |", "|---|---|---|"] + rows
    return UntrustedText(table.joined(separator: "\n"), byteCountMax: Self.descriptionByteCountMax)
      .fenced("Comments that still apply")
  }

  private func cell(_ raw: String) -> String { name(raw).replacing("|", with: "\\|") }
}

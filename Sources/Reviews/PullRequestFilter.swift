internal import Primitives

/// Which pull requests an owner wants to have reviewed: the fields of `agent_configs.config` that choose.
package struct PullRequestFilter: Sendable, Equatable {
  /// Authors whose pull requests are not reviewed: names, or patterns such as `dependabot*`.
  package var skippedAuthors: [Pattern] = []
  /// Whether pull requests of bots are not reviewed.
  package var skipsBots = false
  /// Only pull requests into these branches are reviewed; empty for all.
  package var baseBranches: [Pattern] = []
  /// Labels with which a pull request is not reviewed.
  package var skippedLabels: [Pattern] = []
  /// Words with which a title keeps its pull request from being reviewed.
  package var skippedTitleWords: [String] = []
  /// Whether drafts are reviewed too.
  package var reviewsDrafts = false
  /// Only pull requests that change one of these files are reviewed; empty for all.
  package var paths: [Pattern] = []
  /// Files that do not count: a pull request that changes no other is not reviewed.
  package var skippedPaths: [Pattern] = []

  package init() {}

  /// Whether the changed files have to be known.
  package var needsPaths: Bool { !paths.isEmpty || !skippedPaths.isEmpty }

  /// A name in which `*` stands for any characters but a slash, `**` for any characters, and `?` for one; letter case does not matter.
  package struct Pattern: Sendable, Equatable, Codable {
    package var text: String

    package init(_ text: String) { self.text = text }

    /// Whether a name has this pattern.
    package func matches(_ name: String) -> Bool {
      Self.matches(Array(text.lowercased().unicodeScalars), Array(name.lowercased().unicodeScalars))
    }

    /// The places of the pattern that the name may have come to, moved on by each of its characters: no pattern takes longer than its length
    /// times that of the name. A pull request has up to thousands of names.
    private static func matches(_ pattern: [Unicode.Scalar], _ name: [Unicode.Scalar]) -> Bool {
      var places = [Bool](repeating: false, count: pattern.count + 1)
      enter(0, of: pattern, in: &places)
      for character in name {
        var next = [Bool](repeating: false, count: places.count)
        for (place, token) in pattern.enumerated() where places[place] {
          if token == "*" {
            let isDouble = place + 1 < pattern.count && pattern[place + 1] == "*"
            if isDouble || character != "/" { enter(place, of: pattern, in: &next) }
          } else if token == "?" ? character != "/" : token == character {
            enter(place + 1, of: pattern, in: &next)
          }
        }
        guard next.contains(true) else { return false }
        places = next
      }
      return places[pattern.count]
    }

    /// Comes to a place, and to those that follow from it without a character: a star may stand for none, and `**/` for no folder.
    private static func enter(_ place: Int, of pattern: [Unicode.Scalar], in places: inout [Bool]) {
      guard !places[place] else { return }
      places[place] = true
      guard place < pattern.count, pattern[place] == "*" else { return }
      guard place + 1 < pattern.count, pattern[place + 1] == "*" else {
        return enter(place + 1, of: pattern, in: &places)
      }
      enter(place + 2, of: pattern, in: &places)
      if place + 2 < pattern.count, pattern[place + 2] == "/" { enter(place + 3, of: pattern, in: &places) }
    }
  }

  /// What is known of a pull request when its event comes.
  package struct Subject: Sendable, Equatable {
    package var author: String
    package var isBot: Bool
    package var base: String
    package var labels: [String]
    package var title: String
    package var isDraft: Bool

    package init(author: String, isBot: Bool, base: String, labels: [String], title: String, isDraft: Bool) {
      self.author = author
      self.isBot = isBot
      self.base = base
      self.labels = labels
      self.title = title
      self.isDraft = isDraft
    }
  }

  /// Why a pull request is not reviewed; nil if it is.
  package func exclusion(of subject: Subject) -> String? {
    if subject.isDraft && !reviewsDrafts { return "the pull request is a draft" }
    if skipsBots && subject.isBot { return "pull requests of bots are not reviewed (skip_bots)" }
    if skippedAuthors.contains(where: { $0.matches(subject.author) }) {
      return "pull requests of this author are not reviewed (skip_authors)"
    }
    if !baseBranches.isEmpty && !baseBranches.contains(where: { $0.matches(subject.base) }) {
      return "pull requests into this branch are not reviewed (base_branches)"
    }
    if subject.labels.contains(where: { label in skippedLabels.contains { $0.matches(label) } }) {
      return "a label keeps it from being reviewed (skip_labels)"
    }
    let words = Set(subject.title.lowercased().split { !$0.isLetter && !$0.isNumber && $0 != "-" && $0 != "_" })
    if skippedTitleWords.contains(where: { Self.isIn($0.lowercased(), subject.title.lowercased(), words) }) {
      return "a word of the title keeps it from being reviewed (skip_title_words)"
    }
    return nil
  }

  /// A word is found as a whole; anything else, such as `[skip review]`, wherever it stands.
  private static func isIn(_ word: String, _ title: String, _ words: Set<Substring>) -> Bool {
    word.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
      ? words.contains(word[...]) : title.contains(word)
  }

  /// The same for its changed files. Nothing follows from a list that is not complete, or empty: better one review too many than a gate that is
  /// passed without one.
  package func exclusion(ofFiles files: ChangedFiles) -> String? {
    guard needsPaths, files.isComplete, !files.paths.isEmpty else { return nil }
    let counting = files.paths.filter { file in !skippedPaths.contains { $0.matches(file) } }
    if !skippedPaths.isEmpty && counting.isEmpty {
      return "it changes only files that are not reviewed (skip_paths)"
    }
    if !paths.isEmpty && !counting.contains(where: { file in paths.contains { $0.matches(file) } }) {
      return "it changes no file that is reviewed (paths)"
    }
    return nil
  }
}

extension PullRequestFilter {
  /// The most entries of a list.
  package static let listCountMax = 200
  /// The longest entry.
  package static let entryByteCountMax = 200

  /// Reads the fields of a configuration; what is wrong is added to the faults.
  init(_ fields: [String: JSONValue], faults: inout [String]) {
    func list(_ name: String) -> [String] {
      guard let value = fields[name], value != .null else { return [] }
      guard case .array(let items) = value, items.count <= Self.listCountMax else {
        faults.append("\(name): expected an array of at most \(Self.listCountMax) strings")
        return []
      }
      let texts = items.compactMap(\.string).filter { (1...Self.entryByteCountMax).contains($0.utf8.count) }
      if texts.count != items.count {
        faults.append("\(name): expected only strings of 1 to \(Self.entryByteCountMax) bytes")
      }
      return texts
    }
    func flag(_ name: String) -> Bool {
      switch fields[name] {
      case nil, .null?: return false
      case .bool(let value)?: return value
      default:
        faults.append("\(name): expected true or false")
        return false
      }
    }
    skippedAuthors = list("skip_authors").map { Pattern($0) }
    skipsBots = flag("skip_bots")
    baseBranches = list("base_branches").map { Pattern($0) }
    skippedLabels = list("skip_labels").map { Pattern($0) }
    skippedTitleWords = list("skip_title_words")
    reviewsDrafts = flag("review_drafts")
    paths = list("paths").map { Pattern($0) }
    skippedPaths = list("skip_paths").map { Pattern($0) }
  }
}

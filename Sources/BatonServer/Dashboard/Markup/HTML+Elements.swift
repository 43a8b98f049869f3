internal import FoundationEssentials
internal import Primitives
internal import ReviewStore
internal import Reviews

extension HTML {
  /// Text that others wrote, isolated from the text next to it: a title may hold characters that reverse the line's direction.
  static func foreign(_ text: String) -> HTML { "<bdi>\(text)</bdi>" }

  /// A link to an address that others wrote; only the text if it is not a web address.
  static func link(to url: String, _ content: HTML) -> HTML {
    let scheme = url.prefix { $0 != ":" }.lowercased()
    guard scheme == "https" || scheme == "http", url.dropFirst(scheme.count).hasPrefix("://") else { return content }
    return "<a href=\"\(url)\" rel=\"noopener noreferrer\">\(content)</a>"
  }

  /// An instant, which the script writes as an age; without it the time of day in UTC. Infinite ones are words.
  static func time(_ instant: Timestamp) -> HTML {
    guard instant.isFinite else { return instant == .infinity ? "never" : "always" }
    let text = instant.description
    // A browser cannot read a year of six digits.
    guard text.utf8.first != UInt8(ascii: "+"), text.utf8.first != UInt8(ascii: "-") else { return "\(text)" }
    return "<time datetime=\"\(text)\">\(text.prefix(10)) \(text.dropFirst(11).prefix(8))</time>"
  }

  /// An instant, or a dash.
  static func time(_ instant: Timestamp?) -> HTML { instant.map { time($0) } ?? "–" }

  static func status(_ status: ReviewStatus) -> HTML {
    "<span class=\"status \(status.rawValue)\">\(status.rawValue)</span>"
  }

  /// The page of a review, by the beginning of its id.
  static func link(to review: UUID) -> HTML {
    "<a class=\"id\" href=\"/reviews/\(review.lowercase)\">\(review.lowercase.prefix(8))</a>"
  }

  /// The list of an owner's reviews.
  static func link(to owner: Owner) -> HTML {
    "<a href=\"/reviews?owner=\(owner.description.percentEncoded)\"><bdi>\(owner.description)</bdi></a>"
  }

  /// A button of one of the page's forms, which stand outside of what the stream replaces; see ``Page``.
  /// - Parameters:
  ///   - form: `act`, or `chosen`, which sends the boxes that are checked too.
  ///   - subject: sent as `subject`.
  ///   - confirm: if given, what the button asks before it acts; `#` becomes the number of checked boxes.
  static func button(
    _ label: HTML, form: String = "act", path: String, subject: String = "", kind: String = "", confirm: String = ""
  ) -> HTML {
    """
    <button form="\(form)" type="submit" class="\(kind)" formaction="\(path)" name="subject" value="\(subject)"\
     data-confirm="\(confirm)">\(label)</button>
    """
  }

  /// A box that chooses what the buttons of the form `chosen` act on.
  /// - Parameters:
  ///   - ids: sent as `id` if it is checked.
  ///   - isAll: whether it stands for all boxes of the page.
  static func choice(of ids: [UUID], _ label: HTML, isAll: Bool = false) -> HTML {
    """
    <label class="choose"><input type="checkbox" form="chosen" name="id" value="\(ids.map(\.lowercase).joined(separator: ","))"\
    \(isAll ? " data-all=\"yes\"" : HTML.none)/> \(label)</label>
    """
  }

  /// How many match, as far as they were counted.
  /// - Parameter window: how many of the newest were looked at, if not all were.
  static func count(_ count: MatchCount?, _ noun: String, _ plural: String, window: Int) -> HTML {
    switch count {
    case nil: .none
    case .exactly(let count)?: "<p class=\"count\">\(Reading.count(count, noun, plural))</p>"
    case .moreThan(let count)?: "<p class=\"count\">More than \(Reading.count(count, noun, plural))</p>"
    case .amongNewest(let count)?:
      "<p class=\"count\">\(Reading.count(count, noun, plural)) among the newest \(Reading.grouped(window))</p>"
    }
  }
}

/// Numbers and times as people read them.
enum Reading {
  /// `1 review`, `2 reviews`, `12,345 reviews`.
  static func count(_ number: Int, _ noun: String) -> String { count(number, noun, "\(noun)s") }

  static func count(_ number: Int, _ noun: String, _ plural: String) -> String {
    "\(grouped(number)) \(number == 1 ? noun : plural)"
  }

  /// With a comma for each thousand.
  static func grouped(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var result = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result += "," }
      result.append(digit)
    }
    return result
  }

  /// The two largest units: `480 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
  static func span(_ duration: Duration) -> String {
    let seconds = max(0, duration / .seconds(1))
    if seconds < 0.9995 { return "\(Int((seconds * 1_000).rounded())) ms" }
    if seconds < 9.95 {
      let tenths = Int((seconds * 10).rounded())
      return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
    let whole = Int(exactly: seconds.rounded()) ?? .max
    let units = [(whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "min"), (whole % 60, "s")]
    guard let first = units.firstIndex(where: { $0.0 > 0 }) else { return "0 s" }
    let shown = units[first..<min(first + 2, units.count)].filter { $0.0 > 0 }
    return shown.map { "\($0.0) \($0.1)" }.joined(separator: " ")
  }
}

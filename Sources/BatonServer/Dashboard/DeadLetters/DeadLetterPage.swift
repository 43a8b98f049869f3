internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews

/// The dead letters: which reviews they are about, why they died, and how those reviews stand by now.
struct DeadLetterPage: Sendable {
  let view: DeadLetterView

  /// Characters shown of a message that is no ticket.
  private static let bodyCountMax = 200

  static let head: HTML = """
    <h1>Dead letters</h1>
    <p class="under">Messages that are no tickets of Baton's, and tickets that the broker has delivered too often, because consumers\
     died with them or lost their connections: their logs name the review. Nothing has to be put back; where a ticket is missing\
     the reaper publishes it again. To delete one changes no review; <code>baton dead purge</code> empties the queue.</p>
    """

  var sections: [Section] { [Section("letters", letters)] }

  private var letters: HTML {
    guard let look = view.look else {
      return "<p class=\"fault\">The broker cannot be reached: the dead letters cannot be seen now.</p>"
    }
    guard !look.letters.isEmpty else { return "\(notes(look))<p class=\"empty\">There is no dead letter.</p>" }
    return """
      \(notes(look))
      <table class="letters"><thead><tr><th scope="col">Review</th><th scope="col" class="number">Attempt</th>\
      <th scope="col">Why it died</th><th scope="col">When</th><th scope="col">The review now</th>\
      <th scope="col"><span class="unseen">Action</span></th></tr></thead>
      <tbody>\(look.letters.map(row))</tbody></table>
      """
  }

  private func notes(_ look: DeadLetterLook) -> HTML {
    var notes: [HTML] = []
    if view.count == nil { notes.append("<p class=\"fault\">The broker cannot be reached.</p>") }
    let count = view.count ?? look.count
    if !look.letters.isEmpty {
      let shown = look.letters.count
      notes.append(
        """
        <p class="empty" data-voice="voice">\(Reading.count(count, "dead letter"))\
        \(shown < count ? ", the oldest \(shown) of them below" : ""), as seen \(HTML.time(look.at)).</p>
        """)
    }
    if look.isLast, count != look.count {
      notes.append(
        """
        <p class="empty">The broker counts every look, and a newer one drops what was looked at too often: this page looks no more, \
        <code>baton dead list</code> does.</p>
        """)
    }
    return notes.joined("\n")
  }

  private func row(_ letter: DeadLetter) -> HTML {
    let review = letter.reviewId.flatMap { view.reviews[$0] }
    return """
      <tr><th scope="row">\(subject(letter, review))</th>\
      <td class="number" data-label="Attempt">\(letter.attempt.map { "\($0)" } ?? HTML.none)</td>\
      <td class="wide">\(why(letter))</td>\
      <td data-label="Died">\(HTML.time(letter.diedAt))</td>\
      <td class="wide">\(review.map { standing($0, letter) } ?? HTML.none)</td>\
      <td class="action">\(review.map(ReviewPage.retry) ?? HTML.none) \(delete(letter))</td></tr>
      """
  }

  private func delete(_ letter: DeadLetter) -> HTML {
    guard let id = letter.messageId else { return .none }
    return HTML.button(
      "Delete", path: "/dead-letters/delete", subject: id, kind: "danger",
      confirm: "Press again to delete")
  }

  private func subject(_ letter: DeadLetter, _ review: Review?) -> HTML {
    if let review {
      return """
        <a href="/reviews/\(review.id.lowercase)">\(HTML.foreign(review.prTitle))</a>\
        <small>\(HTML.foreign("\(review.repoFullName) #\(review.prNumber)"))</small>
        """
    }
    if let id = letter.reviewId { return "unknown review <small><code>\(id.lowercase)</code></small>" }
    return "no ticket <small><code>\(HTML.foreign(String(letter.body.prefix(Self.bodyCountMax))))</code></small>"
  }

  private func why(_ letter: DeadLetter) -> HTML {
    letter.isOverDeliveryLimit
      ? "<code>\(letter.reason)</code> delivered too often" : HTML.foreign(letter.reason)
  }

  private func standing(_ review: Review, _ letter: DeadLetter) -> HTML {
    let why = review.errorMessage ?? review.statusReason ?? ""
    let code: HTML = review.errorCode.map { "<code>\($0)</code> " } ?? HTML.none
    let newer: HTML =
      review.attempt > letter.attempt ?? review.attempt ? " <span class=\"tag\">attempt \(review.attempt)</span>" : ""
    return "\(HTML.status(review.status))\(newer)<p class=\"quote\">\(code)\(HTML.foreign(why))</p>"
  }
}

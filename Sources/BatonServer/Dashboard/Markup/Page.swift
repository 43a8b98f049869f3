internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore
internal import Primitives
internal import Reviews

/// A part of a page that the stream replaces by itself: an element with this id.
struct Section: Sendable, Equatable {
  var id: String
  var content: HTML

  init(_ id: StaticString, _ content: HTML) {
    self.id = id.description
    self.content = content
  }

  var element: HTML { "<section id=\"\(id)\">\(content)</section>" }
}

/// A whole page: what stands around the parts that change.
struct Page: Sendable {
  /// Which of the links of the head is this page.
  enum NavigationItem: Sendable { case overview, reviews, deliveries, owners, endpoints, none }

  var title: String
  var item: NavigationItem = .none
  /// What the script subscribes to; empty if the page does not change.
  var live = ""
  /// Its own address: where a button leads back to without the script.
  var path = "/"
  /// The database's time when the page was made; nil if it could not be asked.
  var now: Timestamp?
  var body: HTML
  /// Who looks at it; nil for a visitor who is not signed in, whose page has no buttons.
  var visitor: Visitor?

  /// No script, style, image or connection but this server's own; nothing inline; no frame around it.
  static let contentSecurityPolicy = """
    default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'
    """

  static let headers: HTTPFields = [
    .contentSecurityPolicy: contentSecurityPolicy,
    .referrerPolicy: "same-origin",
    .frameOptions: "DENY",
    .crossOriginOpenerPolicy: "same-origin",
    .crossOriginResourcePolicy: "same-origin",
  ]

  func response(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    var all = Self.headers
    for field in headers { all.append(field) }
    return .content(status, type: "text/html; charset=utf-8", ByteBuffer(string: html.markup), headers: all)
  }

  var html: HTML {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <meta name="color-scheme" content="light dark"/>
    <title>\(title)</title>
    <link rel="icon" href="\(Asset.icon.url)" type="image/svg+xml"/>
    <link rel="stylesheet" href="\(Asset.style.url)"/>
    <script src="\(Asset.script.url)" defer="defer"></script>
    </head>
    <body data-live="\(live)" data-now="\(now?.description ?? "")">
    <a class="skip" href="#main">Skip to content</a>
    <header>
    <a class="brand" href="/">Baton</a>
    \(visitor == nil ? HTML.none : navigation)
    </header>
    <main id="main">
    \(visitor?.right == .read ? body.withoutButtons : body)
    </main>
    \(visitor == nil ? HTML.none : end)
    </body>
    </html>

    """
  }

  private var navigation: HTML {
    """
    <nav aria-label="Main"><a href="/"\(current(.overview))>Overview</a><a href="/reviews"\(current(.reviews))>Reviews</a>\
    <a href="/deliveries"\(current(.deliveries))>Deliveries</a>\
    <a href="/owners"\(current(.owners))>Owners</a><a href="/endpoints"\(current(.endpoints))>Events</a></nav>
    <p id="link" data-state="\(live.isEmpty ? "none" : "waiting")"><span></span></p>
    \(who)\(visitor?.session == nil ? HTML.none : Self.signOut)
    """
  }

  /// The person that a proxy names, and that the visitor only looks.
  private var who: HTML {
    let name = visitor?.name.map { HTML.foreign($0) } ?? HTML.none
    let right: HTML = visitor?.right == .read ? "<small>read only</small>" : ""
    return name == .none && right == .none
      ? .none : "<p class=\"who\">\([name, right].filter { $0 != .none }.joined(" · "))</p>"
  }

  private static let signOut: HTML = """
    <button form="act" type="submit" class="quiet" formaction="/logout" name="subject" value="">Sign out</button>
    """

  private static let signOutEveryone: HTML = """
    <button form="act" type="submit" class="quiet" formaction="/logout" name="subject" value="everyone"\
     data-confirm="Press again to end every session">Sign out everywhere</button>
    """

  private func current(_ item: NavigationItem) -> HTML { self.item == item ? " aria-current=\"page\"" : "" }

  /// The forms to which every button belongs, with what proves that this page was ours; and the voice for screen readers.
  private var end: HTML {
    """
    \(form("act"))\(form("chosen"))
    <p id="toast" role="status" aria-live="polite"></p>
    <p id="voice" class="unseen" role="status" aria-live="polite"></p>
    <footer><a href="/metrics">Metrics</a> <a href="/readyz">Readiness</a>\
     \(visitor?.session?.right == .act ? Self.signOutEveryone : HTML.none)</footer>
    """
  }
}

extension Page {
  private func form(_ id: String) -> HTML {
    """
    <form id="\(id)" method="post" action="/"><input type="hidden" name="csrf" value="\(visitor?.csrfToken ?? "")"/>\
    <input type="hidden" name="back" value="\(path)"/></form>
    """
  }
}

extension HTTPField.Name {
  static let referrerPolicy = HTTPField.Name(known: "Referrer-Policy")
  static let frameOptions = HTTPField.Name(known: "X-Frame-Options")
  static let crossOriginOpenerPolicy = HTTPField.Name(known: "Cross-Origin-Opener-Policy")
}

internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird

/// The form for the token, and what leads there.
enum LoginPage {
  /// - Parameters:
  ///   - next: where it leads: a path of this server.
  ///   - byLink: whether the server has made its token itself, and shows a link that opens this page with a code.
  ///   - isWrong: whether a wrong token or code was entered before.
  static func form(next: String, byLink: Bool, isWrong: Bool = false) -> HTML {
    """
    <form class="login" method="post" action="/login">
    <h1>Sign in</h1>
    \(isWrong ? fault(byLink) : HTML.none)
    <input autocomplete="username" value="Baton" hidden="hidden"/>
    <label for="token">\(byLink ? "Code of the log-in link" : "API token")</label>
    <input id="token" name="token" type="password" required="required" autocomplete="\(byLink ? "off" : "current-password")"\
     autofocus="autofocus" aria-describedby="hint\(isWrong ? " fault" : "")"/>
    <p id="hint">\(byLink ? linkHint : tokenHint) You stay signed in for 12 hours.</p>
    <input type="hidden" name="next" value="\(local(next))"/>
    <button type="submit" class="primary">Sign in</button>
    </form>
    """
  }

  private static let tokenHint: HTML = """
    A token of <code>BATON_API_TOKEN</code>, or of <code>BATON_READ_TOKEN</code> to look only.
    """
  private static let linkHint: HTML = """
    This server was started without <code>BATON_API_TOKEN</code>. Open the log-in link that stands in its terminal or log.
    """

  private static func fault(_ byLink: Bool) -> HTML {
    let text: HTML =
      byLink
      ? "A link works once, within an hour. The newest one stands in the terminal or log of the server."
      : "This is not the token."
    return "<p class=\"fault\" role=\"alert\" id=\"fault\">\(text)</p>"
  }

  /// The form in the place of a page that only those see who have signed in.
  static func response(next: String, byLink: Bool, isWrong: Bool = false) -> Response {
    Page(title: "Sign in · Baton", body: form(next: next, byLink: byLink, isWrong: isWrong)).response(
      .unauthorized, headers: [.wwwAuthenticate: "Bearer"])
  }

  /// The form at its own address, where the log-in link leads.
  static func response(byLink: Bool) -> Response {
    Page(title: "Sign in · Baton", body: form(next: "/", byLink: byLink)).response()
  }

  /// Asks for the same page again. A browser keeps a strict cookie back while it follows a link of another site, a pager's or a chat's,
  /// but sends it where a page of ours leads.
  static func arrival(at path: String) -> Response {
    let body: HTML = "<p class=\"empty\"><a href=\"\(local(path))\">To the dashboard</a></p>"
    return Page(title: "Baton", body: body).response(headers: [.refresh: "0; url=\(local(path))"])
  }

  /// The path if it stays on this server; otherwise the front page. `//host` and `/\host` would lead away.
  static func local(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }
    return isPlain && path.hasPrefix("/") && !path.hasPrefix("//") && path.utf8.count <= 2_048 ? path : "/"
  }
}

/// What could not be done, as a page.
enum FaultPage {
  static func response(_ fault: HTTPFault) -> Response {
    let faults = fault.faults.map { text -> HTML in "<li>\(text)</li>" }
    let body: HTML = """
      <section class="message"><h1>\(fault.status.code) \(fault.status.reasonPhrase)</h1>
      <p>\(fault.message)</p>
      \(faults.isEmpty ? HTML.none : "<ul>\(faults)</ul>")
      <p><a href="/">Overview</a></p></section>
      """
    return Page(title: "\(fault.status.reasonPhrase) · Baton", body: body).response(
      fault.status, headers: fault.headers)
  }
}

extension HTTPField.Name {
  static let refresh = HTTPField.Name(known: "Refresh")
}

internal import HTTPTypes
internal import Hummingbird

/// Where a stranger enters the token, and what leads there.
enum LoginPage {
  /// - Parameters:
  ///   - next: where it leads: a path of this server.
  ///   - isWrong: whether a wrong token was entered before.
  static func response(next: String, isWrong: Bool = false) -> Response {
    let fault: HTML = isWrong ? "<p class=\"fault\" role=\"alert\" id=\"fault\">This is not the token.</p>" : ""
    let body: HTML = """
      <form class="login" method="post" action="/login">
      <h1>Sign in</h1>
      \(fault)
      <label for="token">API token</label>
      <input id="token" name="token" type="password" required="required" autocomplete="current-password"\
       autofocus="autofocus" aria-describedby="hint\(isWrong ? " fault" : "")"/>
      <p id="hint">The value of <code>BATON_API_TOKEN</code>. You stay signed in for 12 hours.</p>
      <input type="hidden" name="next" value="\(local(next))"/>
      <button type="submit" class="primary">Sign in</button>
      </form>
      """
    return Page(title: "Sign in · Baton", body: body).response(
      .unauthorized, headers: [.wwwAuthenticate: "Bearer"])
  }

  /// Asks for the same page again. A browser keeps a strict cookie back while it follows a link of another site, a pager's or a chat's,
  /// but sends it where a page of ours leads.
  static func arrival(at path: String) -> Response {
    let body: HTML = "<p class=\"empty\"><a href=\"\(local(path))\">To the dashboard</a></p>"
    return Page(title: "Baton", body: body).response(headers: [.refresh: "0; url=\(local(path))"])
  }

  /// The path, where it stays on this server; otherwise the front page. `//host` and `/\host` would lead away.
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

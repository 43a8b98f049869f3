import AMQPClient
import BatonServer
import Foundation
import PostgresClient
import Primitives
import ReviewQueue
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Dashboard in a browser", .timeLimit(.minutes(5)))
struct DashboardBrowserTests {
  private let queue = QueueFigures(name: "q", ready: 0, consumers: 1, dead: 0)

  private func url(_ stack: ServerStack, _ path: String = "/") -> String {
    "http://127.0.0.1:\(stack.client.port)\(path)"
  }

  /// Waits for the front page, while the browser leaves another one.
  private func arrive(_ page: BrowserPage) async throws {
    try await eventually("the front page") { (try? await page.text("#link").contains("Live")) == true }
  }

  /// Signs in as a person does, and waits for the front page.
  private func signIn(_ page: BrowserPage, _ stack: ServerStack) async throws {
    try await page.open(url(stack, "/login"))
    _ = try await page.evaluate("document.querySelector('#token').focus()")
    try await page.type(ServerStack.token)
    try await page.pressEnter()
    try await arrive(page)
  }

  @Test("the front page follows the database without being loaded again, and its buttons act")
  func live() async throws {
    try await withServerStack(queue: queue) { stack in
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.open(url(stack))
        try await page.see("Live", in: "#link")
        _ = try await page.evaluate("window.isSamePage = true")
        #expect(try await page.text("#load .pending dd").hasPrefix("0"))
        _ = try await stack.submit("abcdef1")
        try await page.see("1", in: "#load .pending dd")
        try await page.see("org:acme", in: "#owners")
        try await page.see("Pause", in: "#owners button")
        try await page.click("#owners button")
        try await page.see("org:acme is paused", in: "#toast")
        try await page.see("Resume", in: "#owners button")
        try await page.see("1 review of paused owners", in: "#verdict")
        #expect(try await stack.store.load(of: Owner(type: .org, id: "acme"), ownerLimit: 1)?.isPaused == true)
        #expect(try await page.evaluate("window.isSamePage") == .bool(true))
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
    }
  }

  @Test("a hostile title is shown, and does not run: not when loaded, and not when it comes by the stream")
  func hostile() async throws {
    let title = #"<img src=x onerror=alert(1)><script>alert(2)</script>" onfocus="alert(3)" autofocus="#
    try await withServerStack(queue: queue) { stack in
      let id = try await stack.submit("abcdef1")
      let rename = PostgresStatement(unprepared: "UPDATE code_reviews SET pr_title = $1, updated_at = now()")
      try await stack.pool.query(rename, [title])
      try await Browser.run { page in
        try await signIn(page, stack)
        for path in ["/reviews", "/reviews/\(id.lowercase)"] {
          try await page.open(url(stack, path))
          try await page.see("Live", in: "#link")
          #expect(try await page.text("main").contains(title))
        }
        try await page.open(url(stack, "/reviews"))
        try await page.see("Live", in: "#link")
        try await stack.pool.query(rename, [title + " again"])
        try await page.see(title + " again", in: "#list")
        #expect(try await page.evaluate("document.querySelectorAll('main img, main script').length") == .integer(0))
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
    }
  }

  @Test("even markup that got past the escaping could not run")
  func policy() async throws {
    try await withServerStack(queue: queue) { stack in
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.open(url(stack))
        let hasRun = try await page.evaluate(
          """
          new Promise((resolve) => {
            const main = document.querySelector("main");
            main.insertAdjacentHTML("beforeend", "<img src=/assets/none onerror='window.hasRun = 1'><b style='color:red' onclick='window.hasRun = 1'>x</b>");
            const script = document.createElement("script");
            script.textContent = "window.hasRun = 1";
            main.append(script);
            main.querySelector("b").click();
            setTimeout(() => resolve(window.hasRun ?? 0), 200);
          })
          """)
        #expect(hasRun == .integer(0))
        try await eventually("the browser's report") {
          page.complaints.contains { $0.contains("Content Security Policy") }
        }
      }
    }
  }

  @Test("a review is cancelled by a second press, and started again; its page follows")
  func cancelAndRetry() async throws {
    try await withServerStack(queue: queue) { stack in
      let id = try await stack.submit("abcdef1")
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.open(url(stack, "/reviews/\(id.lowercase)"))
        try await page.see("Live", in: "#link")
        try await page.click("#actions button")
        try await page.see("Press again", in: "#actions button")
        #expect(try await stack.store.review(id)?.status == .pending)
        try await page.click("#actions button")
        try await page.see("cancelled", in: "#standing")
        try await page.see("Retry", in: "#actions button")
        try await page.see("cancelled by a user", in: "#transitions")
        // By the keyboard alone.
        _ = try await page.evaluate("document.querySelector('#actions button').focus()")
        try await page.pressEnter()
        try await page.see("pending", in: "#standing")
        try await page.see("attempt 2", in: "#standing")
        #expect(try await stack.store.review(id)?.attempt == 2)
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
    }
  }

  @Test("rows are chosen by the keyboard, alone or all of them, and changed by a second press; then the list goes on")
  func choosing() async throws {
    try await withServerStack(queue: queue) { stack in
      let ids = [try await stack.submit("abcdef1"), try await stack.submit("abcdef2")]
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.open(url(stack, "/reviews"))
        try await page.see("Live", in: "#link")
        func focus(_ selector: String) async throws {
          _ = try await page.evaluate("document.querySelector('\(selector)').focus()")
        }
        func all() async throws -> String {
          guard
            case .string(let state) = try await page.evaluate(
              "(({ checked, indeterminate }) => [checked, indeterminate].join())(document.querySelector('[data-all]'))")
          else { return "" }
          return state
        }
        try await focus(".chosen button")
        try await page.press(.enter)
        try await page.see("Choose reviews first", in: "#toast")
        try await focus("[data-all]")
        try await page.press(.space)
        try await page.see("2 chosen", in: ".tally")
        #expect(try await all() == "true,false")
        try await focus("tbody tr:nth-child(2) input")
        try await page.press(.space)
        try await page.see("1 chosen", in: ".tally")
        #expect(try await all() == "false,true")
        // The newest is chosen, and stays so while another one comes.
        _ = try await stack.submit("abcdef3")
        try await focus(".chosen button")
        try await page.press(.enter)
        try await page.see("Press again to cancel 1", in: ".chosen button")
        #expect(try await stack.store.review(ids[1])?.status == .pending)
        try await page.press(.enter)
        try await page.see("1 review cancelled.", in: "#toast")
        #expect(try await stack.store.review(ids[1])?.status == .cancelled)
        #expect(try await stack.store.review(ids[0])?.status == .pending)
        try await eventually("the list goes on") {
          try await page.evaluate("document.querySelectorAll('#list tbody tr').length") == .integer(3)
        }
        #expect(try await all() == "false,false")
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
    }
  }

  @Test("the token signs in, to the page that was asked for, and signs out")
  func signIn() async throws {
    try await withServerStack(queue: queue, apiToken: SecretList(Secret("s3cret"))) { stack in
      try await Browser.run { page in
        try await page.open(url(stack, "/reviews?status=failed"))
        _ = try await page.evaluate("document.querySelector('#token').focus()")
        try await page.type("wrong")
        try await page.click("button")
        try await page.see("This is not the token", in: "#fault")
        _ = try await page.evaluate("document.querySelector('#token').focus()")
        try await page.type("s3cret")
        try await page.click("button")
        try await page.see("Live", in: "#link")
        #expect(try await page.evaluate("location.pathname + location.search") == .string("/reviews?status=failed"))
        #expect(try await page.evaluate("document.cookie") == .string(""))
        try await page.click("header button")
        try await page.see("Sign in", in: "h1")
        // The back button brings back the address, but not the page.
        try await page.leave(by: "history.back()")
        try await eventually("another look") { try await page.text("main").contains("API token") }
        #expect(try await page.text("body").contains("Overview") == false)
      }
    }
  }

  @Test("the log-in link signs in without its code staying in the address or the history, and works once")
  func link() async throws {
    let (paths, shown) = AsyncStream.makeStream(of: String.self)
    let link = LoginLink { path in shown.yield(path) }
    try await withServerStack(queue: queue, apiToken: SecretList(Secret("never shown")), loginLink: link) { stack in
      link.issue()
      var iterator = paths.makeAsyncIterator()
      let path = try #require(await iterator.next())
      try await Browser.run { page in
        try? await page.open(url(stack, path))
        try await arrive(page)
        #expect(try await page.evaluate("location.href") == .string(url(stack)))
        // Whether the browser keeps the form as a page of its own depends on how fast it was sent.
        try await page.leave(by: "history.back()")
        try await eventually("the page before") {
          guard case .string(let address)? = try? await page.evaluate("location.href") else { return false }
          return address == url(stack, "/login") || address == "about:blank"
        }
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
      try await Browser.run { page in
        try? await page.open(url(stack, path))
        try await eventually("the refusal") { (try? await page.text("#fault").contains("A link works once")) == true }
        try? await page.open(url(stack, try #require(await iterator.next())))
        try await arrive(page)
      }
    }
  }

  @Test("signing out everywhere takes a second press, and ends the other browser's session too")
  func signOutEverywhere() async throws {
    try await withServerStack(queue: queue) { stack in
      try await Browser.run { page in
        try await Browser.run { other in
          for page in [page, other] { try await signIn(page, stack) }
          try await page.click("footer button")
          try await page.see("Press again", in: "footer button")
          try await page.click("footer button")
          try await page.see("Sign in", in: "h1")
          try await other.open(url(stack))
          try await other.see("Sign in", in: "h1")
        }
      }
    }
  }

  @Test(
    "who is signed in and follows a link of another site arrives, although the browser keeps the cookie back at first")
  func arrival() async throws {
    try await withServerStack(queue: queue, apiToken: SecretList(Secret("s3cret"))) { stack in
      try await Browser.run { page in
        // Two names of this machine are two sites to a browser.
        let home = "http://localhost:\(stack.client.port)"
        try await page.open(home)
        _ = try await page.evaluate("document.querySelector('#token').focus()")
        try await page.type("s3cret")
        try await page.pressEnter()
        try await page.see("Live", in: "#link")
        try await page.open(url(stack))
        try await page.see("Sign in", in: "h1")
        try await page.leave(by: "location.href = '\(home)/reviews?status=failed'")
        try await page.see("No review matches", in: "#list")
      }
    }
  }

  @Test("nothing is wider than a phone, and every control can be reached by a finger", arguments: [false, true])
  func phone(isDark: Bool) async throws {
    try await withServerStack(queue: queue) { stack in
      let id = try await stack.submit("abcdef1")
      let word = String(repeating: "w", count: 200)
      try await stack.run(
        "UPDATE code_reviews SET pr_title = '\(word)', repo_full_name = '\(word)/\(word)', head_ref = '\(word)'")
      let owner = Owner(type: .org, id: "acme")
      _ = try await stack.store.addEndpoint("https://hooks.example.com/\(word)", owner: owner) { _ in [0] }
      try await stack.run("UPDATE baton_endpoints SET failures = 9, failing_since = now(), last_error = '\(word)'")
      _ = try await stack.store.add(NewIntegration(owner: owner, platform: .github, installationId: "1")) { _ in
        IntegrationSecrets(token: nil, webhookSecret: nil)
      }
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.show(width: 375, height: 700, isDark: isDark)
        for (path, text, place) in [
          ("/", "Live", "#link"), ("/reviews", "Live", "#link"), ("/reviews/\(id.lowercase)", "Live", "#link"),
          ("/owners", "Owners", "h1"), ("/owner?owner=\(owner)", "\(owner)", "h1"), ("/endpoints", "Events", "h1"),
          ("/deliveries", "Deliveries", "h1"), ("/dead-letters", "Dead letters", "h1"),
        ] {
          try await page.open(url(stack, path))
          try await page.see(text, in: place)
          _ = try await page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
          #expect(try await page.evaluate("document.documentElement.scrollWidth <= 375") == .bool(true), "\(path)")
          let small =
            "[...document.querySelectorAll('main button, main input:not([type=hidden]), main select')].filter((one) => one.getBoundingClientRect().height < 44).length"
          #expect(try await page.evaluate(small) == .integer(0), "\(path)")
          let covered = """
            [...document.querySelectorAll('nav a, header button, main button, main summary')].filter((one) => {
              one.scrollIntoView({ block: 'center' });
              const box = one.getBoundingClientRect();
              const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
              return !one.contains(top);
            }).map((one) => one.textContent).join()
            """
          #expect(try await page.evaluate(covered) == .string(""), "\(path)")
        }
      }
    }
  }

  @Test("no button of a dead letter covers its text, and no figure breaks in two", arguments: [375, 390, 800, 1280])
  func letters(width: Int) async throws {
    let id = UUID()
    let ticket = Ticket(reviewID: id, attempt: 1, claimedAt: Timestamp(microseconds: 0))
    let letters = [
      DeadLetter(
        AMQPDelivery(body: ticket.body, messageID: "m-1", headers: ["x-first-death-reason": "delivery_limit"])),
      DeadLetter(AMQPDelivery(body: Array("no ticket".utf8), messageID: "m-2")),
    ]
    try await withServerStack(
      queue: QueueFigures(name: "q", ready: 0, consumers: 1, dead: 2), deadLetters: letters
    ) { stack in
      let submitted = try await stack.submit("abcdef1")
      try await stack.run(
        """
        UPDATE code_reviews SET id = '\(id)', pr_title = 'Rewrite the whole of the billing subsystem, and document it'
         WHERE id = '\(submitted)'
        """)
      try await stack.run("UPDATE code_reviews SET status = 'failed', error_code = 'attempts_exhausted'")
      try await Browser.run { page in
        try await signIn(page, stack)
        try await page.show(width: width, height: 800, isDark: false)
        let broken = """
          [...document.querySelectorAll('.tiles:not(.broker) dd')].filter((one) => {
            one.firstChild.data = '300,703';
            const range = document.createRange();
            range.selectNode(one.firstChild);
            const [box, tile] = [range.getBoundingClientRect(), one.parentElement.getBoundingClientRect()];
            return range.getClientRects().length > 1 || box.right > tile.right;
          }).length
          """
        #expect(try await page.evaluate(broken) == .integer(0))
        try await page.open(url(stack, "/dead-letters"))
        try await page.see("Retry", in: ".letters")
        let covered = """
          [...document.querySelectorAll('.letters tr')].flatMap((row) => {
            const buttons = [...row.querySelectorAll('button')].map((one) => one.getBoundingClientRect());
            const range = document.createRange();
            return [...row.querySelectorAll('th, td:not(.action)')].filter((cell) => {
              range.selectNodeContents(cell);
              return [...range.getClientRects()].some((text) => buttons.some((box) =>
                text.left < box.right && box.left < text.right && text.top < box.bottom && box.top < text.bottom));
            }).map((cell) => cell.textContent);
          }).join()
          """
        #expect(try await page.evaluate(covered) == .string(""))
      }
    }
  }
}

import BatonServer
import Foundation
import Primitives
import ReviewStore
import Reviews
import Support
import Testing

@Suite("Dashboard by keyboard and by eye", .timeLimit(.minutes(5)))
struct DashboardKeyboardTests {
  private static let paths = [
    "/", "/reviews", "/reviews?status=failed", "/owners", "/owner?owner=org:acme", "/endpoints", "/deliveries",
    "/dead-letters",
  ]

  /// The controls that can be seen, in the order of the document.
  private static let controls = """
    [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
      .filter((one) => one.getClientRects().length > 0)
    """

  /// Where the focus is among them, as the stream may have replaced some, and what is wrong with how it shows.
  private static let focus = """
    (() => {
      const one = document.activeElement;
      const controls = \(controls);
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const isShown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
      const isInView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      return one === document.body ? 'body' : controls.indexOf(one) + (isShown ? '' : ' hidden') + (isInView ? '' : ' out of view');
    })()
    """

  /// Texts whose colour is too near to that of what is behind them: 4.5 to 1, 3 to 1 for large ones (WCAG 2.2, 1.4.3).
  private static let faintTexts = """
    (() => {
      const channels = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
      const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
      const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
          const color = channels(getComputedStyle(at).backgroundColor);
          if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
      };
      return [...document.querySelectorAll('body *')].filter((one) => {
        const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const style = getComputedStyle(one);
        if (!text || !one.getClientRects().length || style.visibility === 'hidden' || one.closest('.unseen, .skip, svg, option')) return false;
        const [a, b] = [luminance(channels(style.color)), luminance(behind(one))];
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < (isLarge ? 3 : 4.5);
      }).map((one) => one.tagName + '.' + one.className + ': ' + one.textContent.trim().slice(0, 40)).join('\\n');
    })()
    """

  /// One of everything that the pages show.
  private func fill(_ stack: ServerStack) async throws {
    for sha in ["abcdef1", "abcdef2", "abcdef3"] { _ = try await stack.submit(sha) }
    try await stack.run(
      "UPDATE code_reviews SET status = 'failed', error_code = 'worker_lost', error_message = 'gone' WHERE head_sha = 'abcdef1'"
    )
    let owner = Owner(type: .org, id: "acme")
    _ = try await stack.store.addEndpoint("https://hooks.example.com/x", owner: owner) { _ in [0] }
    try await stack.run("UPDATE baton_endpoints SET failures = 9, failing_since = now(), last_error = 'refused'")
    _ = try await stack.store.add(NewIntegration(owner: owner, platform: .github, installationId: "1")) { _ in
      IntegrationSecrets(token: nil, webhookSecret: nil)
    }
  }

  private func visit(
    _ size: (width: Int, height: Int), isDark: Bool = false,
    _ body: @escaping @Sendable (BrowserPage, String) async throws -> Void
  ) async throws {
    let queue = QueueFigures(name: "q", ready: 0, consumers: 1, dead: 2)
    try await withServerStack(queue: queue) { stack in
      try await fill(stack)
      try await Browser.run { page in
        let home = "http://127.0.0.1:\(stack.client.port)"
        try await page.open("\(home)/login")
        _ = try await page.evaluate("document.querySelector('#token').focus()")
        try await page.type(ServerStack.token)
        try await page.pressEnter()
        try await eventually("the front page") { (try? await page.text("#link").contains("Live")) == true }
        try await page.show(width: size.width, height: size.height, isDark: isDark)
        for path in Self.paths {
          try await page.open(home + path)
          try await page.see("Baton", in: "header")
          _ = try await page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
          try await body(page, path)
        }
        #expect(page.complaints.isEmpty, "\(page.complaints)")
      }
    }
  }

  @Test(
    "the Tab key reaches every control in the order of the page, and each shows that it has the focus",
    arguments: [390, 1280])
  func order(width: Int) async throws {
    try await visit((width, 800)) { page, path in
      guard case .integer(let count) = try await page.evaluate("\(Self.controls).length") else {
        Issue.record("\(path) has no controls")
        return
      }
      var visited: [String] = []
      for _ in 0...count {
        try await page.press(.tab)
        guard case .string(let place) = try await page.evaluate(Self.focus) else { break }
        visited.append(place)
      }
      #expect(visited.filter { $0 != "body" } == (0..<count).map { "\($0)" }, "\(path) at \(width)")
    }
  }

  @Test("text stands out from its background, and nothing is wider than the page", arguments: [false, true])
  func contrast(isDark: Bool) async throws {
    for width in [390, 1280] {
      try await visit((width, 800), isDark: isDark) { page, path in
        let faint = try await page.evaluate(Self.faintTexts)
        let fits = try await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        #expect(faint == .string("") && fits == .bool(true), "\(path) at \(width): \(faint)")
      }
    }
  }
}

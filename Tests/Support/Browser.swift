internal import Foundation
package import Primitives
internal import Reviews
internal import Synchronization

/// A headless Chromium with a profile of its own, driven by the DevTools protocol over a pipe: one JSON message after another, each
/// ended by a zero byte. https://chromedevtools.github.io/devtools-protocol/
package final class Browser: Sendable {
  private struct State {
    var nextID: Int64 = 1
    var pending: [Int64: CheckedContinuation<JSONValue, any Error>] = [:]
    var received: [UInt8] = []
    var events: [JSONValue] = []
    var hasEnded = false
  }

  /// The browser refused a command, or is gone.
  package struct Fault: Error, CustomStringConvertible {
    package let description: String

    /// Whether the page has gone elsewhere during the command.
    var isNavigation: Bool {
      description.contains("navigated or closed") || description.contains("context was destroyed")
    }
  }

  private let state = Mutex(State())
  private let commands: FileHandle
  private let answers: FileHandle
  private let processID: Int32
  private let profile: String

  private init() throws {
    let process = Process()
    let (input, output) = (Pipe(), Pipe())
    profile = FileManager.default.temporaryDirectory.appendingPathComponent("baton-browser-\(UUID().uuidString)").path
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    // The protocol wants descriptors 3 and 4. Root has no sandbox to run in; it opens only the tests' own pages.
    process.arguments = [
      "-c",
      """
      exec chromium --headless --no-sandbox --disable-gpu --no-first-run --user-data-dir="$0" --remote-debugging-pipe \
      3<&0 4>&1 >/dev/null 2>&1 </dev/null
      """, profile,
    ]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    commands = input.fileHandleForWriting
    answers = output.fileHandleForReading
    processID = process.processIdentifier
    answers.readabilityHandler = { [weak self] handle in self?.receive(handle.availableData) }
  }

  /// Runs the body with a browser that has one empty page.
  package static func run<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: (BrowserPage) async throws -> Result
  ) async throws -> Result {
    let browser = try Browser()
    defer { browser.end() }
    let target = try await browser.send("Target.createTarget", ["url": .string("about:blank")])
    let session = try await browser.send(
      "Target.attachToTarget", ["targetId": target.at("targetId"), "flatten": .bool(true)])
    let page = BrowserPage(browser: browser, session: session.at("sessionId"))
    for domain in ["Page", "Runtime", "Log"] { try await page.send("\(domain).enable") }
    return try await body(page)
  }

  /// Everything the browser has said by itself.
  package var events: [JSONValue] { state.withLock { $0.events } }

  func send(_ method: String, _ parameters: [String: JSONValue], session: JSONValue = .null) async throws -> JSONValue {
    try await withCheckedThrowingContinuation { continuation in
      let message: [UInt8]? = state.withLock { state in
        guard !state.hasEnded else { return nil }
        var fields: [String: JSONValue] = [
          "id": .integer(state.nextID), "method": .string(method), "params": .object(parameters),
        ]
        if session != .null { fields["sessionId"] = session }
        guard let text = try? JSONEncoder().encode(JSONValue.object(fields)) else { return nil }
        state.pending[state.nextID] = continuation
        state.nextID += 1
        return Array(text) + [0]
      }
      guard let message else { return continuation.resume(throwing: Fault(description: "the browser is gone")) }
      commands.write(Data(message))
    }
  }

  private func receive(_ data: Data) {
    guard !data.isEmpty else { return fail() }
    let messages = state.withLock { state in
      state.received += data
      var messages: [JSONValue] = []
      while let end = state.received.firstIndex(of: 0) {
        if let message = try? JSONDecoder().decode(JSONValue.self, from: Data(state.received[..<end])) {
          messages.append(message)
        }
        state.received.removeSubrange(...end)
      }
      return messages
    }
    for message in messages { handle(message) }
  }

  private func handle(_ message: JSONValue) {
    guard case .integer(let id) = message.at("id") else { return state.withLock { $0.events.append(message) } }
    let waiting = state.withLock { $0.pending.removeValue(forKey: id) }
    if message.at("error") != .null {
      waiting?.resume(throwing: Fault(description: "\(message.at("error"))"))
    } else {
      waiting?.resume(returning: message.at("result"))
    }
  }

  private func fail() {
    answers.readabilityHandler = nil
    let pending = state.withLock { state in
      state.hasEnded = true
      defer { state.pending = [:] }
      return state.pending.values.map { $0 }
    }
    for waiting in pending { waiting.resume(throwing: Fault(description: "the browser has ended")) }
  }

  private func end() {
    kill(processID, SIGKILL)
    fail()
    try? FileManager.default.removeItem(atPath: profile)
  }
}

/// A page of a ``Browser``.
package struct BrowserPage: Sendable {
  let browser: Browser
  let session: JSONValue

  @discardableResult
  func send(_ method: String, _ parameters: [String: JSONValue] = [:]) async throws -> JSONValue {
    try await browser.send(method, parameters, session: session)
  }

  /// Opens an address, and waits until it has loaded.
  package func open(_ url: String) async throws {
    try await send("Page.navigate", ["url": .string(url)])
    try await eventually("\(url) to load") {
      try await evaluate("document.readyState + ' ' + location.protocol") == .string("complete http:")
    }
  }

  /// The value of an expression.
  /// - Throws: ``Browser/Fault`` if it throws.
  package func evaluate(_ expression: String) async throws -> JSONValue {
    let answer = try await send(
      "Runtime.evaluate",
      ["expression": .string(expression), "returnByValue": .bool(true), "awaitPromise": .bool(true)])
    if answer.at("exceptionDetails") != .null { throw Browser.Fault(description: "\(answer.at("exceptionDetails"))") }
    return answer.at("result").at("value")
  }

  /// The text of the first element that a selector finds; empty if there is none, or if the page is just being replaced by another.
  package func text(_ selector: String) async throws -> String {
    do {
      let value = try await evaluate("document.querySelector(`\(selector)`)?.textContent ?? ''")
      return if case .string(let text) = value { text } else { "" }
    } catch let fault as Browser.Fault where fault.isNavigation {
      return ""
    }
  }

  /// Has the page go elsewhere by an expression, whose value is lost with the page.
  package func leave(by expression: String) async throws {
    do {
      _ = try await evaluate(expression)
    } catch let fault as Browser.Fault where fault.isNavigation {}
  }

  /// Waits until an element holds a text.
  package func see(_ text: String, in selector: String) async throws {
    try await eventually("\(text) in \(selector)") { try await self.text(selector).contains(text) }
  }

  /// Presses the mouse on the first element that a selector finds.
  package func click(_ selector: String) async throws {
    let place = try await evaluate(
      """
      (() => {
        const element = document.querySelector(`\(selector)`);
        element.scrollIntoView({ block: "center" });
        const box = element.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      })()
      """)
    for type in ["mousePressed", "mouseReleased"] {
      try await send(
        "Input.dispatchMouseEvent",
        [
          "type": .string(type), "x": place.at("x"), "y": place.at("y"), "button": .string("left"),
          "clickCount": .integer(1),
        ])
    }
  }

  /// A key that acts on what has the focus.
  package enum Key: String, Sendable {
    case enter = "Enter"
    case space = " "
    case tab = "Tab"

    fileprivate var number: Int64 {
      switch self {
      case .enter: 13
      case .space: 32
      case .tab: 9
      }
    }

    fileprivate var text: String {
      switch self {
      case .enter: "\r"
      case .space: " "
      case .tab: ""
      }
    }
  }

  /// Presses a key where the focus is.
  package func press(_ key: Key) async throws {
    for type in ["keyDown", "keyUp"] {
      try await send(
        "Input.dispatchKeyEvent",
        [
          "type": .string(type), "key": .string(key.rawValue), "code": .string(key == .space ? "Space" : key.rawValue),
          "windowsVirtualKeyCode": .integer(key.number), "text": .string(type == "keyDown" ? key.text : ""),
        ])
    }
  }

  /// Presses the Enter key where the focus is.
  package func pressEnter() async throws { try await press(.enter) }

  /// Types a text where the focus is.
  package func type(_ text: String) async throws {
    try await send("Input.insertText", ["text": .string(text)])
  }

  /// Pretends a screen.
  package func show(width: Int, height: Int, isDark: Bool = false) async throws {
    try await send(
      "Emulation.setDeviceMetricsOverride",
      [
        "width": .integer(Int64(width)), "height": .integer(Int64(height)), "deviceScaleFactor": .integer(1),
        "mobile": .bool(width < 600),
      ])
    try await send(
      "Emulation.setEmulatedMedia",
      [
        "features": .array([
          .object(["name": .string("prefers-color-scheme"), "value": .string(isDark ? "dark" : "light")])
        ])
      ])
  }

  /// What went wrong on the pages so far: scripts that threw, what the pages' policy refused, and dialogs that a script opened.
  package var complaints: [String] {
    browser.events.compactMap { event in
      guard case .string(let method) = event.at("method") else { return nil }
      switch method {
      case "Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening": return "\(event.at("params"))"
      default: return nil
      }
    }
  }
}

extension JSONValue {
  /// A field of an object; null if there is none.
  package func at(_ name: String) -> JSONValue { self[name] ?? .null }
}

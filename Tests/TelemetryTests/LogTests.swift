import Foundation
import Logging
import Primitives
import Reviews
import Synchronization
import Telemetry
import Testing

@Suite("Log lines")
struct LogTests {
  final class Lines: Sendable {
    let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
  }

  let lines = Lines()

  func logger(_ format: LogFormat, level: Logger.Level = .trace) -> Logger {
    Logger(label: "consumer") { [lines] label in
      BatonLogHandler(label: label, format: format, level: level) { line in lines.lines.withLock { $0.append(line) } }
    }
  }

  /// A line without its time, which must have been one.
  func withoutTime(_ line: String) -> String {
    let time = String(line.prefix { $0 != " " })
    #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil, "\(line)")
    return String(line.dropFirst(time.count + 1))
  }

  @Test("text: level, label, message, then metadata sorted by key, quoted where needed")
  func text() {
    logger(.text).info(
      "dispatched", metadata: ["review": "42", "attempt": "1", "why": "two words", "empty": "", "list": ["a", "b"]])
    logger(.text).critical("gone")
    #expect(
      lines.all.map { withoutTime($0) } == [
        "INFO    consumer: dispatched attempt=1 empty=\"\" list=\"[a, b]\" review=42 why=\"two words\"\n",
        "CRITICAL consumer: gone\n",
      ])
  }

  @Test(
    "a line that names a review carries the trace that its task works on, unless it brings its own; other lines do not")
  func trace() throws {
    let trace = try #require(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    TraceContext.$current.withValue(trace) {
      logger(.text).info("read", metadata: ["review": "42"])
      logger(.text).info("read", metadata: ["review": "42", "trace": "own"])
      logger(.text).info("connected")
    }
    logger(.text).info("read", metadata: ["review": "42"])
    #expect(
      lines.all.map { withoutTime($0) } == [
        "INFO    consumer: read review=42 trace=\(trace.traceID)\n", "INFO    consumer: read review=42 trace=own\n",
        "INFO    consumer: connected\n", "INFO    consumer: read review=42\n",
      ])
  }

  @Test("json: one object a line that a parser reads back")
  func json() throws {
    let text = "line\nbreak \"quoted\" \\ tab\t nul\u{0} é 👍🏽"
    logger(.json).error("\(text)", metadata: ["detail": "\(text)"])
    #expect(lines.all.count == 1 && lines.all[0].count { $0.isNewline } == 1)
    let object = try JSONSerialization.jsonObject(with: Data(lines.all[0].utf8)) as? [String: Any]
    #expect(object?["level"] as? String == "error")
    #expect(object?["label"] as? String == "consumer")
    #expect(object?["message"] as? String == text)
    #expect((object?["metadata"] as? [String: String]) == ["detail": text])
  }

  @Test("nothing in a record can end the line or reach the terminal", arguments: LogFormat.allCases)
  func controlCharacters(format: LogFormat) {
    let evil = "a\nINFO fake: line\r\u{1B}[2J\u{9B}2J\u{2028}\u{7F}"
    logger(format).info("\(evil)", metadata: ["\(evil)": "\(evil)"])
    #expect(lines.all.count == 1)
    let body = lines.all[0].dropLast()
    #expect(
      body.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) && $0 != "\u{2028}" })
  }

  @Test("secrets are masked by key, inside of values, in messages and in errors", arguments: LogFormat.allCases)
  func secrets(format: LogFormat) {
    struct Failure: Error, CustomStringConvertible { let description = "amqp://u:hunter2@h refused" }
    var logger = logger(format)
    logger[metadataKey: "worker-token"] = "hunter2"
    logger.info(
      "to postgres://u:hunter2@db", error: Failure(),
      metadata: [
        "password": "hunter2", "headers": ["authorization": "hunter2", "accept": "json"],
        "tokens": ["password=hunter2"],
        "typed": "\(Secret("hunter2"))",
      ])
    #expect(lines.all.count == 1)
    #expect(!lines.all[0].contains("hunter2"))
    #expect(lines.all[0].contains("json") && lines.all[0].contains("refused"))
  }

  @Test("metadata of the call wins over the logger's, which wins over the provider's")
  func precedence() {
    var handler = BatonLogHandler(
      label: "x", format: .text, level: .info,
      metadataProvider: Logger.MetadataProvider { ["a": "provider", "b": "provider", "c": "provider"] },
      write: { [lines] line in lines.lines.withLock { $0.append(line) } })
    handler[metadataKey: "b"] = "logger"
    handler[metadataKey: "c"] = "logger"
    let logger = Logger(label: "x") { [handler] _ in handler }
    logger.info("m", metadata: ["c": "call"])
    #expect(withoutTime(lines.all[0]) == "INFO    x: m a=provider b=logger c=call\n")
  }

  @Test("below its level nothing is written")
  func level() {
    logger(.text, level: .warning).notice("quiet")
    #expect(lines.all.isEmpty)
  }

  @Test("a huge value is cut, and its length said")
  func hugeValue() {
    logger(.text).info("\(String(repeating: "x", count: 100_000))")
    #expect(lines.all[0].utf8.count < 10_000)
    #expect(lines.all[0].contains("(91808 more)"))
  }
}

@Suite("Secret")
struct SecretTests {
  struct Holder { let token = Secret("hunter2") }

  @Test("it shows itself in no way but by reveal")
  func hidden() {
    let secret = Secret("hunter2")
    var dumped = ""
    dump(Holder(), to: &dumped)
    dump(secret, to: &dumped)
    let optional: Secret? = secret
    let texts = [
      "\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", "\(["k": secret])", dumped,
      "\(Holder())", String(reflecting: Holder()), String(describing: optional),
      "\(Mirror(reflecting: secret).children.map { "\($0)" })",
    ]
    for text in texts { #expect(!text.contains("hunter2"), "\(text)") }
    #expect("\(secret)" == "***")
    #expect(secret.reveal() == "hunter2")
    #expect(!((secret as Any) is any Encodable))
  }
}

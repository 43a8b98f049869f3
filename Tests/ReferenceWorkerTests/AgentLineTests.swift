import Primitives
import Reviews
import Testing
import WorkerAPI

@testable import ReferenceWorker

@Suite("Agent output")
struct AgentLineTests {
  @Test("a secret is taken out of what a line says, however JSON spells it, and of each of its parts")
  func redacted() {
    let redact = RunRedactor(
      startRequest(), ofWorker: [Secret("worker-secret"), Secret("worker-secret-longer"), Secret("short")])
    func shown(_ text: String) -> AgentLine { AgentLine(text).redacted(by: redact) }
    #expect(
      shown("a worker-secret, worker-secret-longer, ghs_0123456789 short").event?.message == "a ***, ***, *** short")
    #expect(shown(#"{"message":"gh\u0073_0123456789"}"#).event?.message == "***")
    let line = shown(
      #"{"event":"worker-secret","content":{"worker\u002dsecret":[{"a":"worker-secret"},1]},"sessionId":"worker-secret"}"#
    )
    #expect(line.event?.type == "***" && line.sessionID == "***")
    #expect(line.event?.content == .object(["***": .array([.object(["a": .string("***")]), .integer(1)])]))
    #expect(shown(#"{"cliSessionId":"worker-secret","usage":{"model":"worker-secret"}}"#).cliSessionID == "***")
    #expect(shown(#"{"usage":{"model":"worker-secret","totalTokensIn":7}}"#).usage?.model == "***")
    #expect(shown("nothing of it: worker-secre").event?.message == "nothing of it: worker-secre")
  }

  @Test("a plain line is an event, and so is JSON that carries nothing known")
  func plain() {
    #expect(AgentLine("hello").event?.message == "hello")
    #expect(AgentLine("{not json").event?.message == "{not json")
    #expect(AgentLine(#"{"a":1}"#).event?.content == .object(["a": .integer(1)]))
    #expect(AgentLine("[1]").event?.message == "[1]")
  }

  @Test("a JSON line carries event, message, content and the run's details")
  func json() {
    let line = AgentLine(
      #"{"event":"finding","message":"leak","content":[1],"sessionId":"s","cliSessionId":"c","gateResult":"pass","usage":{"model":"m","totalTokensIn":1,"totalTokensOut":2,"totalCostMicroUSD":3}}"#
    )
    #expect(
      line.event?.type == "finding" && line.event?.message == "leak" && line.event?.content == .array([.integer(1)]))
    #expect(line.sessionID == "s" && line.cliSessionID == "c" && line.gateResult == .pass)
    #expect(line.usage == Usage(model: "m", totalTokensIn: 1, totalTokensOut: 2, totalCostMicroUSD: 3))
  }

  @Test("a text that was cut within a character costs no detail of the line")
  func cutText() {
    let line = AgentLine(#"{"gateResult":"pass","message":"cut \ud83d"}"#)
    #expect(line.gateResult == .pass && line.event?.message == "cut \u{FFFD}")
  }

  @Test("details alone are no event, and malformed ones are ignored")
  func details() {
    #expect(AgentLine(#"{"sessionId":"s"}"#).event == nil)
    let line = AgentLine(#"{"sessionId":7,"gateResult":"maybe","usage":{"totalTokensIn":-1,"model":4},"event":"x"}"#)
    #expect(line.sessionID == nil && line.gateResult == nil && line.usage == Usage() && line.event?.type == "x")
  }

  @Test("bytes are cut into lines wherever the pieces end")
  func splits() {
    let text = Array("one\ntwo\r\n\nfo\u{FC}r\nrest".utf8)
    for size in 1...text.count {
      var splitter = LineSplitter()
      var lines: [String] = []
      for start in stride(from: 0, to: text.count, by: size) {
        lines += splitter.append(text[start..<min(start + size, text.count)])
      }
      lines += [splitter.finish()].compactMap { $0 }
      #expect(lines == ["one", "two", "", "fo\u{FC}r", "rest"])
      #expect(splitter.finish() == nil)
    }
  }

  @Test("a line without an end is bounded")
  func boundsLines() {
    var splitter = LineSplitter()
    for _ in 0..<100 { #expect(splitter.append([UInt8](repeating: 97, count: 10_000)).isEmpty) }
    #expect(splitter.append([10]).map(\.utf8.count) == [LineSplitter.byteCountMax])
  }
}

internal import FoundationEssentials
internal import Primitives
internal import Reviews
internal import WorkerAPI

/// What a line of the agent's standard output says.
///
/// A line is a plain text, or a JSON object with any of `event`, `message`, `content`, `sessionId`, `cliSessionId`, `usage`
/// and `gateResult`; an object with none of them is an event whose content it is.
struct AgentLine: Sendable, Equatable {
  /// nil if the line only carries details of the run.
  var event: (type: String, message: String?, content: JSONValue?)?
  var sessionID: String?
  var cliSessionID: String?
  var usage: Usage?
  var gateResult: GateResult?
  var byteCount: Int

  /// The longest name of an event, and of a session, in bytes.
  private static let nameByteCountMax = 200

  init(_ text: String) {
    byteCount = text.utf8.count
    guard text.utf8.first == UInt8(ascii: "{"),
      let value = try? JSONValue(json: Array(text.utf8), repairingText: true), case .object(let fields) = value
    else {
      event = ("output", text, nil)
      return
    }
    sessionID = Self.name(fields["sessionId"])
    cliSessionID = Self.name(fields["cliSessionId"])
    gateResult = fields["gateResult"]?.string.flatMap { GateResult(rawValue: $0) }
    usage = Self.usage(fields["usage"])
    let type = Self.name(fields["event"])
    let message = fields["message"]?.string
    if type != nil || message != nil || fields["content"] != nil {
      event = (type ?? "output", message, fields["content"])
    } else if sessionID == nil, cliSessionID == nil, gateResult == nil, usage == nil {
      event = ("output", nil, value)
    }
  }

  /// The same line without secrets. Of what the line says, not of its text: JSON has many spellings of one text.
  func redacted(by redact: RunRedactor) -> AgentLine {
    var line = self
    line.event = event.map { (redact($0.type), redact($0.message), $0.content.map { redact($0) }) }
    line.sessionID = redact(sessionID)
    line.cliSessionID = redact(cliSessionID)
    line.usage?.model = redact(usage?.model)
    return line
  }

  static func == (left: AgentLine, right: AgentLine) -> Bool {
    left.event?.type == right.event?.type && left.event?.message == right.event?.message
      && left.event?.content == right.event?.content && left.sessionID == right.sessionID
      && left.cliSessionID == right.cliSessionID && left.usage == right.usage && left.gateResult == right.gateResult
  }

  private static func name(_ value: JSONValue?) -> String? {
    guard let text = value?.string, !text.isEmpty, text.utf8.count <= nameByteCountMax else { return nil }
    return text
  }

  private static func usage(_ value: JSONValue?) -> Usage? {
    guard case .object(let fields)? = value else { return nil }
    func count(_ name: String) -> Int64? {
      if case .integer(let number)? = fields[name], number >= 0 { number } else { nil }
    }
    return Usage(
      model: name(fields["model"]), totalTokensIn: count("totalTokensIn"), totalTokensOut: count("totalTokensOut"),
      totalCostMicroUSD: count("totalCostMicroUSD"))
  }
}

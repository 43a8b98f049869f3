internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import WorkerAPI

/// Reads the body of a status callback and checks every field, so that one answer names all the faults. Unknown fields
/// are ignored.
enum CallbackBody {
  /// An error message is cut here, in characters: a callback that is refused for its length would lose the run's end.
  static let messageCharacterCountMax = 4_000

  /// A run's end is not refused for a detail of it, because a worker does not repeat what is refused.
  /// - Returns: the report, and the faulty details that it lacks.
  /// - Throws: `HTTPFault`: 400 for what is no JSON object, 422 for one with faulty fields.
  static func report(from body: Data) throws(HTTPFault) -> (report: RunReport, ignored: [String]) {
    guard case .object(let fields)? = json(body) else {
      throw .malformed("expected a JSON object", faults: ["not a JSON object"])
    }
    var reader = Reader(fields: fields)
    let status = reader.status()
    var report = RunReport(status: status ?? .running)
    report.attempt = reader.integer("attempt", in: 0...Int64(Int32.max)).map { Int($0) }
    report.sessionId = reader.name("sessionId")
    report.cliSessionId = reader.name("cliSessionId")
    report.errorMessage = reader.message("errorMessage")
    report.gateResult = reader.gateResult()
    reader.usage(into: &report)
    let faults = reader.faults.map { "\($0.field): \($0.problem)" }
    // Without an attempt, the session alone says which run has ended.
    let needed: Set = report.attempt == nil ? ["status", "attempt", "sessionId"] : ["status", "attempt"]
    guard faults.isEmpty || report.status.isTerminal && reader.faults.allSatisfy({ !needed.contains($0.field) }) else {
      throw HTTPFault(
        .unprocessableContent, "not a status callback: \(faults.joined(separator: "; "))", faults: faults)
    }
    return (report, faults)
  }

  /// A worker does not repeat what is refused: text that was cut within a character must not lose the run's end. What needs no repair is read as it
  /// is, so that a name with NUL is named as a fault.
  private static func json(_ body: Data) -> JSONValue? {
    (try? JSONValue(json: body)) ?? (try? JSONValue(json: body, repairingText: true))
  }

  private struct Reader {
    let fields: [String: JSONValue]
    var path = ""
    var faults: [(field: String, problem: String)] = []

    init(fields: [String: JSONValue], path: String = "") {
      self.fields = fields
      self.path = path
    }

    private mutating func fault(_ name: String, _ problem: String) { faults.append((path + name, problem)) }

    mutating func status() -> ReviewStatus? {
      let status = fields["status"]?.string.flatMap { StatusCallback.Status(rawValue: $0) }
      if status == nil {
        fault("status", "expected \(StatusCallback.Status.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return status?.reviewStatus
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
      switch fields[name] {
      case nil, .null?: return nil
      case .integer(let number)? where range.contains(number): return number
      case .some:
        fault(name, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
      }
    }

    mutating func name(_ name: String) -> String? {
      switch fields[name] {
      case nil, .null?: return nil
      case .string(let text)? where RunReport.isName(text):
        return text.isEmpty ? nil : text
      case .some:
        fault(name, "expected a string of at most \(RunReport.nameByteCountMax) bytes without NUL")
        return nil
      }
    }

    mutating func message(_ name: String) -> String? {
      switch fields[name] {
      case nil, .null?: return nil
      case .string(let text)?:
        // Scalars, not Characters: a Character may hold any number of combining marks. Postgres does not store NUL.
        let scalars = text.unicodeScalars.prefix(messageCharacterCountMax).map { $0.value == 0 ? "\u{FFFD}" : $0 }
        var cut = String.UnicodeScalarView()
        cut.append(contentsOf: scalars)
        return String(cut)
      case .some:
        fault(name, "expected a string")
        return nil
      }
    }

    mutating func gateResult() -> String? {
      switch fields["gateResult"] {
      case nil, .null?: return nil
      case .string(let text)? where GateResult(rawValue: text) != nil: return text
      case .some:
        fault("gateResult", "expected pass or fail")
        return nil
      }
    }

    mutating func usage(into report: inout RunReport) {
      switch fields["usage"] {
      case nil, .null?: break
      case .object(let fields)?:
        var reader = Reader(fields: fields, path: "usage.")
        report.model = reader.name("model")
        report.totalTokensIn = reader.integer("totalTokensIn", in: 0...Int64.max)
        report.totalTokensOut = reader.integer("totalTokensOut", in: 0...Int64.max)
        report.totalCostMicrousd = reader.integer("totalCostMicroUSD", in: 0...Int64.max)
        faults += reader.faults
      case .some: fault("usage", "expected an object")
      }
    }
  }
}

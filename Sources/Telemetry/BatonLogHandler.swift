internal import Glibc
package import Logging
internal import Primitives
internal import Reviews

/// Writes one line per record to standard error, by way of ``LogWriter``, which never blocks. Secrets are masked by a `Redactor`,
/// newlines and control characters escaped.
package struct BatonLogHandler: LogHandler {
  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?

  private let label: String
  private let format: LogFormat
  private let redactor: Redactor
  private let write: @Sendable (String) -> Void

  /// - Parameters:
  ///   - label: the logger's.
  ///   - format: text, or JSON.
  ///   - level: the least that is written.
  ///   - redactor: takes secrets out of a line.
  ///   - metadataProvider: adds what the task knows, such as the trace.
  ///   - write: takes one line with its newline; standard error, except in tests.
  package init(
    label: String, format: LogFormat, level: Logger.Level, redactor: Redactor = Redactor(),
    metadataProvider: Logger.MetadataProvider? = nil,
    write: @escaping @Sendable (String) -> Void = { LogWriter.standardError.write($0) }
  ) {
    self.label = label
    self.format = format
    self.logLevel = level
    self.redactor = redactor
    self.metadataProvider = metadataProvider
    self.write = write
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var merged = metadataProvider?.get() ?? [:]
    merged.merge(metadata) { $1 }
    merged.merge(event.metadata ?? [:]) { $1 }
    if let error = event.error, merged["error"] == nil { merged["error"] = "\(error)" }
    // Also if the code that writes the line does not have the trace, for example a platform's.
    if merged["review"] != nil, merged["trace"] == nil, let trace = TraceContext.current {
      merged["trace"] = "\(trace.traceID)"
    }
    let record = LogRecord(
      timestamp: LogTime.now(), level: event.level.rawValue, label: label,
      message: redactor.redact("\(event.message)"),
      metadata: merged.map { ($0.key, text(of: $0.value, key: $0.key)) }.sorted { $0.0 < $1.0 })
    write(record.line(format))
  }

  /// A value as text; its mask if the key, or a key inside of the value, names a secret.
  private func text(of value: Logger.Metadata.Value, key: String) -> String {
    guard !redactor.isSecret(key: key) else { return Redactor.mask }
    return switch value {
    case .string(let text): redactor.redact(text)
    case .stringConvertible(let value): redactor.redact("\(value)")
    case .array(let values): "[\(values.map { text(of: $0, key: key) }.joined(separator: ", "))]"
    case .dictionary(let values):
      "{\(values.sorted { $0.key < $1.key }.map { "\($0.key): \(text(of: $0.value, key: $0.key))" }.joined(separator: ", "))}"
    }
  }
}

/// Sends all records of swift-log to standard error. Once, at the start of the process.
package func bootstrapLogging(format: LogFormat, level: Logger.Level) {
  LogWriter.standardError.describeDropped { count in
    LogRecord(
      timestamp: LogTime.now(), level: Logger.Level.warning.rawValue, label: "baton.log",
      message: "log lines were dropped: standard error could not be written, or not fast enough",
      metadata: [("count", "\(count)")]
    ).line(format)
  }
  LoggingSystem.bootstrap(
    { label, provider in
      BatonLogHandler(label: label, format: format, level: level, metadataProvider: provider)
    }, metadataProvider: nil)
}

/// The present time in UTC with milliseconds, by RFC 3339.
enum LogTime {
  static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return text(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  static func text(seconds: Int, milliseconds: Int) -> String {
    var (seconds, parts) = (seconds, tm())
    gmtime_r(&seconds, &parts)
    func digits(_ value: some BinaryInteger, _ width: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    let date = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))"
    let time = "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
    return "\(date)T\(time).\(digits(milliseconds, 3))Z"
  }
}

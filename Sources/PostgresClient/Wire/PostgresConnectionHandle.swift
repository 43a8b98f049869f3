internal import CPostgres
internal import Glibc

/// Owns a `PGconn`: the only code that touches one, and so its pointer never leaves this file.
///
/// Not thread-safe, and not to be copied: the actor that stores it calls it on its executor's thread only.
struct PostgresConnectionHandle: ~Copyable {
  /// How far the handshake is.
  enum Progress {
    case wantsRead, wantsWrite, done, failed
  }

  /// The transaction state of the session, as of the last answer that was read.
  enum TransactionStatus {
    case idle, active, inTransaction, inFailedTransaction, unknown
  }

  private let connection: OpaquePointer
  private let notices: NoticeBox

  /// Starts to connect; nil if memory is exhausted. A faulty parameter shows as `progress == .failed`.
  init?(parameters: [(keyword: String, value: String)]) {
    let keywords = CStrings(parameters.map(\.keyword))
    let values = CStrings(parameters.map(\.value))
    let started = keywords.withPointers { keywords in
      values.withPointers { values in PQconnectStartParams(keywords, values, 0) }
    }
    guard let started else { return nil }
    connection = started
    notices = NoticeBox()
    // Verbose: the SQLSTATE of a refused connection is only to be had in the message.
    _ = PQsetErrorVerbosity(connection, PQERRORS_VERBOSE)
    _ = PQsetNoticeReceiver(
      connection,
      { context, result in
        guard let context, let result else { return }
        Unmanaged<NoticeBox>.fromOpaque(context).takeUnretainedValue().notices.append(serverError(result).error)
      }, Unmanaged.passUnretained(notices).toOpaque())
  }

  deinit { PQfinish(connection) }

  // MARK: Connecting

  /// Whether the start itself has failed, for a faulty parameter or for want of a socket.
  var hasFailed: Bool { PQstatus(connection) == CONNECTION_BAD }

  /// Whether TCP has no answer yet: the address may be silent.
  var awaitsTCP: Bool { PQstatus(connection) == CONNECTION_STARTED || PQstatus(connection) == CONNECTION_NEEDED }

  /// Goes on with the handshake after the socket became ready. The socket may be another one afterwards.
  mutating func connect() -> Progress {
    switch PQconnectPoll(connection) {
    case PGRES_POLLING_READING: .wantsRead
    case PGRES_POLLING_WRITING: .wantsWrite
    case PGRES_POLLING_OK: .done
    default: .failed
    }
  }

  /// Makes the connection non-blocking and pipelined, after the handshake.
  mutating func beginPipelining() -> Bool {
    _ = PQsetErrorVerbosity(connection, PQERRORS_DEFAULT)
    return PQsetnonblocking(connection, 1) == 0 && PQenterPipelineMode(connection) == 1
  }

  /// Whether the session is encrypted.
  var isEncrypted: Bool { PQsslInUse(connection) == 1 }

  var socket: Int32 { PQsocket(connection) }
  var backendPID: Int32 { PQbackendPID(connection) }
  var serverVersion: Int32 { PQserverVersion(connection) }

  /// What libpq last complained about, in one or more lines.
  var errorMessage: String { PQerrorMessage(connection).map { String(cString: $0) } ?? "" }

  /// What the server said unasked since the last call: warnings, and why it ends the session.
  mutating func takeNotices() -> [PostgresError] {
    guard !notices.notices.isEmpty else { return [] }
    defer { notices.notices.removeAll() }
    return notices.notices
  }

  // MARK: Sending. False is a lost connection, or a call out of order.

  mutating func sendPrepare(_ name: String, sql: String, types: [UInt32]) -> Bool {
    PQsendPrepare(connection, name, sql, Int32(types.count), types) == 1
  }

  mutating func sendPrepared(_ name: String, _ parameters: EncodedParameters) -> Bool {
    parameters.withPointers { values, lengths, formats in
      PQsendQueryPrepared(connection, name, Int32(parameters.count), values, lengths, formats, 1) == 1
    }
  }

  mutating func sendUnprepared(_ sql: String, _ parameters: EncodedParameters) -> Bool {
    parameters.withPointers { values, lengths, formats in
      PQsendQueryParams(connection, sql, Int32(parameters.count), parameters.types, values, lengths, formats, 1) == 1
    }
  }

  /// Ends an implicit transaction. libpq 15 writes to the socket here.
  mutating func sendSync() -> Bool { PQpipelineSync(connection) == 1 }

  /// Leaves the pipeline mode and sends a script in the simple protocol; every answer must have been read.
  mutating func sendScript(_ sql: String) -> Bool {
    PQexitPipelineMode(connection) == 1 && PQsendQuery(connection, sql) == 1
  }

  /// Goes back to the pipeline mode after a script.
  mutating func endScript() -> Bool { PQenterPipelineMode(connection) == 1 }

  /// Writes what is buffered: 0 if nothing is left, 1 if the socket takes no more, -1 if the connection is lost.
  mutating func flush() -> Int32 { PQflush(connection) }

  /// Holds small packets back until it is switched off, so that many Syncs leave as one packet; no-op off TCP.
  mutating func setCork(_ isOn: Bool) {
    var value: Int32 = isOn ? 1 : 0
    _ = setsockopt(
      PQsocket(connection), Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  // MARK: Receiving

  /// Reads what the socket has; false is a lost connection.
  mutating func consumeInput() -> Bool { PQconsumeInput(connection) == 1 }

  /// Whether the next answer is not complete yet, so that `nextAnswer()` would block.
  var isBusy: Bool { PQisBusy(connection) == 1 }

  /// The next answer; only if `isBusy` is false.
  mutating func nextAnswer() -> PipelineAnswer {
    guard let result = PQgetResult(connection) else { return .end }
    switch PQresultStatus(result) {
    case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
      return .rows(ResultBox(result))
    case PGRES_PIPELINE_SYNC:
      PQclear(result)
      return .sync
    case PGRES_PIPELINE_ABORTED:
      PQclear(result)
      return .skipped
    case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
      PQclear(result)
      return .failed(PostgresError(.encoding, "COPY is not supported"), isFatal: true)
    default:
      defer { PQclear(result) }
      let (error, isFatal) = serverError(result)
      return .failed(error, isFatal: isFatal)
    }
  }

  var transactionStatus: TransactionStatus {
    switch PQtransactionStatus(connection) {
    case PQTRANS_IDLE: .idle
    case PQTRANS_ACTIVE: .active
    case PQTRANS_INTRANS: .inTransaction
    case PQTRANS_INERROR: .inFailedTransaction
    default: .unknown
    }
  }

  /// The next notification that has been read.
  mutating func nextNotification() -> PostgresNotification? {
    guard let notify = PQnotifies(connection) else { return nil }
    defer { PQfreemem(notify) }
    return PostgresNotification(
      channel: String(cString: notify.pointee.relname),
      payload: notify.pointee.extra.map { String(cString: $0) } ?? "", backendPID: notify.pointee.be_pid)
  }

  /// What cancels the running statement, from any thread.
  mutating func makeCancel() -> CancelHandle? { PQgetCancel(connection).map(CancelHandle.init) }
}

/// An answer of the pipeline.
enum PipelineAnswer {
  /// The rows or the command tag of one statement.
  case rows(ResultBox)
  /// The statement has failed; fatal if the server ends the session.
  case failed(PostgresError, isFatal: Bool)
  /// The statement was not run, as one before it failed.
  case skipped
  /// No more answers for this statement.
  case end
  /// The transaction of the statements before is over.
  case sync
}

/// What the server said unasked. Only the thread of the connection fills and empties it.
private final class NoticeBox {
  var notices: [PostgresError] = []
}

/// Ends the running statement of a connection.
///
/// - Note: `@unchecked Sendable`, as libpq allows `PQcancel` from any thread: the object is a copy of the
///   server's address and key, and is not shared with the connection (libpq, 34.7).
struct CancelHandle: ~Copyable, @unchecked Sendable {
  private let cancel: OpaquePointer

  fileprivate init(_ cancel: OpaquePointer) { self.cancel = cancel }

  deinit { PQfreeCancel(cancel) }

  /// Asks the server, over a connection of its own, to cancel; blocks until it has taken note.
  /// - Returns: what went wrong; nil if the request was delivered, which says nothing about its effect.
  func send() -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress else { return "no buffer" }
      return PQcancel(cancel, start, 256) == 1 ? nil : String(cString: start)
    }
  }
}

/// Owns a `PGresult`, which is not changed after it came.
///
/// - Note: `@unchecked Sendable`, as a `PGresult` may be read by any thread, and by several at once (libpq, 34.20).
final class ResultBox: @unchecked Sendable {
  private let result: OpaquePointer
  let rowCount: Int

  fileprivate init(_ result: OpaquePointer) {
    self.result = result
    rowCount = Int(PQntuples(result))
  }

  deinit { PQclear(result) }

  var columnCount: Int { Int(PQnfields(result)) }
  func columnName(_ column: Int) -> String { PQfname(result, Int32(column)).map { String(cString: $0) } ?? "" }
  func columnType(_ column: Int) -> UInt32 { PQftype(result, Int32(column)) }

  /// The command's tag, such as `UPDATE 3` or `ROLLBACK`.
  var commandTag: String { PQcmdStatus(result).map { String(cString: $0) } ?? "" }
  /// How many rows were inserted, updated, deleted, selected or moved; 0 for other commands.
  var affectedRows: Int { PQcmdTuples(result).map { atol($0) } ?? 0 }

  func isNull(row: Int, column: Int) -> Bool { PQgetisnull(result, Int32(row), Int32(column)) == 1 }

  /// The bytes of a cell; valid while the box lives, so only within `body`.
  func withCell<Value>(
    row: Int, column: Int, _ body: (UnsafeRawBufferPointer) throws(PostgresError) -> Value
  ) throws(PostgresError) -> Value {
    let count = Int(PQgetlength(result, Int32(row), Int32(column)))
    defer { extendLifetime(self) }
    return try body(UnsafeRawBufferPointer(start: PQgetvalue(result, Int32(row), Int32(column)), count: count))
  }
}

/// Reads the fields of an error or notice; fatal if the session is over.
private func serverError(_ result: OpaquePointer) -> (error: PostgresError, isFatal: Bool) {
  func field(_ code: Unicode.Scalar) -> String? {
    PQresultErrorField(result, Int32(code.value)).map { String(cString: $0) }
  }
  let state = field("C")
  let message = field("M") ?? PQresultErrorMessage(result).map { String(cString: $0) } ?? "no message"
  // No SQLSTATE: libpq itself has made the error, as the connection broke.
  var error = PostgresError(state.map { .server($0) } ?? .connectionLost, message.onOneLine)
  error.detail = field("D")
  error.hint = field("H")
  error.constraint = field("n")
  error.table = field("t")
  error.column = field("c")
  let severity = field("V")
  return (error, severity == "FATAL" || severity == "PANIC" || state == nil)
}

extension String {
  /// The lines, trimmed, in one.
  var onOneLine: String {
    split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }.filter { !$0.isEmpty }
      .joined(separator: "; ")
  }
}

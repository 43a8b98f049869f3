/// The answer to one statement: rows, or the number of rows that it changed.
///
/// Holds libpq's result itself; rows are decoded when asked for. The memory is freed with the last row kept.
public struct PostgresRows: Sendable, RandomAccessCollection {
  let result: ResultBox
  let columns: Columns

  /// Zero.
  public var startIndex: Int { 0 }
  /// The number of rows.
  public var endIndex: Int { result.rowCount }
  /// A row, by its number from 0.
  public subscript(position: Int) -> PostgresRow {
    precondition((0..<result.rowCount).contains(position), "there is no row \(position)")
    return PostgresRow(result: result, columns: columns, row: position)
  }

  /// How many rows the command inserted, updated, deleted or selected; 0 for other commands.
  public var affectedRows: Int { result.affectedRows }
  /// The command as it was run, such as `UPDATE 3`; `ROLLBACK` for a COMMIT of a failed transaction.
  public var commandTag: String { result.commandTag }
  /// The names of the columns, in order.
  public var columnNames: [String] { columns.names }

  /// The only row; throws if there is none, or more than one.
  public func one() throws(PostgresError) -> PostgresRow {
    guard count == 1 else {
      throw PostgresError(.decoding, "\(count) rows where one is expected", statement: columns.statement)
    }
    return self[0]
  }

  /// Decodes every row by position, and every column.
  public func decode<each Value: PostgresDecodable>(
    _ type: (repeat each Value).Type = (repeat each Value).self
  ) throws(PostgresError) -> [(repeat each Value)] {
    var values: [(repeat each Value)] = []
    values.reserveCapacity(count)
    for row in self { values.append(try row.decode(type)) }
    return values
  }
}

/// One row; decodes its columns by position or by name.
public struct PostgresRow: Sendable {
  let result: ResultBox
  let columns: Columns
  let row: Int

  /// The number of columns.
  public var count: Int { columns.names.count }

  /// Decodes a column by its position from 0.
  public func decode<Value: PostgresDecodable>(
    _ column: Int, as _: Value.Type = Value.self
  ) throws(PostgresError) -> Value {
    guard columns.names.indices.contains(column) else {
      throw PostgresError(
        .decoding, "there are \(columns.names.count) columns, none at position \(column)", statement: columns.statement)
    }
    do throws(PostgresError) {
      if result.isNull(row: row, column: column) { return try Value.decodeNull() }
      let type = columns.types[column]
      return try result.withCell(row: row, column: column) { bytes throws(PostgresError) in
        try Value.decode(binary: bytes, type: type)
      }
    } catch {
      var error = error
      error.message = "column \(columns.names[column]): \(error.message)"
      error.column = columns.names[column]
      error.statement = columns.statement
      throw error
    }
  }

  /// Decodes a column by its name; the first one if several have it.
  public func decode<Value: PostgresDecodable>(
    _ column: String, as type: Value.Type = Value.self
  ) throws(PostgresError) -> Value {
    guard let position = columns.positions[column] else {
      throw PostgresError(
        .decoding, "no column \(column), but \(columns.names.joined(separator: ", "))", statement: columns.statement)
    }
    return try decode(position, as: type)
  }

  /// Decodes all columns from the first on: `let (id, name) = try row.decode((UUID, String?).self)`.
  ///
  /// Throws if the row has more or fewer columns than values are asked for.
  public func decode<each Value: PostgresDecodable>(
    _: (repeat each Value).Type = (repeat each Value).self
  ) throws(PostgresError) -> (repeat each Value) {
    var reader = reader()
    let values = (repeat try reader.next((each Value).self))
    guard reader.isAtEnd else {
      throw PostgresError(
        .decoding, "\(count) columns where \(reader.position) are expected", statement: columns.statement)
    }
    return values
  }

  /// Reads the columns one after another.
  public func reader() -> Reader { Reader(row: self) }

  /// Reads the columns of a row in their order.
  public struct Reader {
    let row: PostgresRow
    /// The position of the column that `next` reads.
    public private(set) var position = 0

    init(row: PostgresRow) { self.row = row }

    /// The names of the columns, in order.
    public var columnNames: [String] { row.columns.names }
    /// Whether every column has been read.
    public var isAtEnd: Bool { position == row.count }

    /// Decodes the next column; throws behind the last one.
    public mutating func next<Value: PostgresDecodable>(
      _ type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
      defer { position += 1 }
      return try row.decode(position, as: type)
    }
  }
}

/// Names and types of a result's columns; resolved once per prepared statement, as its columns cannot change (0A000).
final class Columns: Sendable {
  let statement: String?
  let names: [String]
  let types: [UInt32]
  let positions: [String: Int]

  init() { (statement, names, types, positions) = (nil, [], [], [:]) }

  init(of result: ResultBox, statement: String?) {
    self.statement = statement
    names = (0..<result.columnCount).map(result.columnName)
    types = (0..<result.columnCount).map(result.columnType)
    positions = Dictionary(zip(names, 0...), uniquingKeysWith: { first, _ in first })
  }
}

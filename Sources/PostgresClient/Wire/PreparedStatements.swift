/// Which statements a connection has prepared, or is about to have: they count from the moment that the preparation was
/// sent, so that the next use follows in the same round trip. A failed preparation takes the entry out again.
struct PreparedStatements {
  /// A statement is planned for the types of its parameters: another set of types is another plan.
  struct Key: Hashable, Sendable {
    let statement: PostgresStatement
    let types: [UInt32]

    // The count stands for the types: what is rarely different need not be hashed.
    func hash(into hasher: inout Hasher) {
      hasher.combine(statement)
      hasher.combine(types.count)
    }
  }

  /// A statement under its name at the server.
  struct Entry: Hashable, Sendable {
    let key: Key
    let serverName: String
  }

  private struct Plan {
    let entry: Entry
    var columns: Columns?
  }

  private var plans: [Key: Plan] = [:]
  private var useCounts: [String: Int] = [:]

  init() {}

  /// The entry of a statement, and whether it is to be prepared first.
  ///
  /// A name is never used twice on a connection, so that what the server may still have of an earlier preparation
  /// causes no conflict.
  mutating func use(_ key: Key) -> (entry: Entry, isNew: Bool) {
    if let plan = plans[key] { return (plan.entry, false) }
    let name = key.statement.name
    let useCount = useCounts[name, default: 0] + 1
    useCounts[name] = useCount
    let entry = Entry(key: key, serverName: useCount == 1 ? name : "\(name)#\(useCount)")
    plans[key] = Plan(entry: entry)
    return (entry, true)
  }

  /// Forgets an entry that the server does not have, or has outdated.
  mutating func remove(_ entry: Entry) {
    if plans[entry.key]?.entry == entry { plans[entry.key] = nil }
  }

  /// The columns of a plan's results, read off the first of them.
  mutating func columns(of result: ResultBox, _ entry: Entry) -> Columns {
    if let plan = plans[entry.key], plan.entry == entry, let columns = plan.columns { return columns }
    let columns = Columns(of: result, statement: entry.key.statement.label)
    if plans[entry.key]?.entry == entry { plans[entry.key]?.columns = columns }
    return columns
  }
}

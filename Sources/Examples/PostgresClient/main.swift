import FoundationEssentials
import Logging
import PostgresClient

enum Accounts {
  static let create = PostgresStatement(
    "account_create",
    """
    /* shop:account_create */
    INSERT INTO accounts (id, owner, labels) VALUES ($1, $2, $3)
    """)
  static let find = PostgresStatement(
    "account_find",
    """
    /* shop:account_find */
    SELECT id, balance, closed_at FROM accounts WHERE owner = $1
    """)
  static let move = PostgresStatement(
    "account_move",
    """
    /* shop:account_move */
    UPDATE accounts SET balance = balance + $2 WHERE id = $1
    """)
}

var configuration = PostgresConfiguration(
  conninfo: "postgresql://shop@db.example/shop", applicationName: "shop")
configuration.sessionSettings = ["statement_timeout": "5s"]
let pool = PostgresPool(configuration, logger: Logger(label: "shop"))

// One statement, one transaction. It is prepared on its first use, in the same round trip.
let id = UUID()
do {
  try await pool.query(Accounts.create, [id, "ada", ["vip", nil] as [String?]])
} catch {
  guard error.isUniqueViolation else { throw error }
  print("there already, by \(error.constraint ?? "some key")")
}

// Rows are decoded when asked for: by name, or as a tuple.
for row in try await pool.query(Accounts.find, ["ada"]) {
  let (id, balance, closedAt) = try row.decode((UUID, Int, PostgresInstant?).self)
  print(id, balance, closedAt?.rfc3339 ?? "open", try row.decode("balance", as: Int.self))
}

// Several statements in one round trip, all or nothing.
try await pool.pipeline([(Accounts.move, [id, -5]), (Accounts.move, [UUID(), 5])])

// A transaction with decisions between its statements.
try await pool.withTransaction(.serializable) { connection in
  let rows = try await connection.query(Accounts.find, ["ada"])
  if try rows.one().decode("balance", as: Int.self) > 0 {
    try await connection.query(Accounts.move, [id, -1])
  }
}
await pool.close()

let listener = PostgresListener(configuration, channels: ["orders"], logger: Logger(label: "shop"))
await withTaskGroup(of: Void.self) { group in
  group.addTask { await listener.run() }
  for await event in listener.events {
    switch event {
    case .connected: print("look at the table of orders")
    case .notified(let channel, let payload): print(channel, payload)
    case .lost: print("deaf until connected again")
    }
  }
}

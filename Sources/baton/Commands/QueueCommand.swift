internal import ArgumentParser
internal import BatonServer
internal import Primitives
internal import ReviewQueue
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton queue`.
struct QueueCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue",
    abstract: "Shows queue depth, consumers, reviews by status, and how long the oldest have waited.",
    discussion: """
      EXAMPLES:
        baton queue
        baton queue --watch
        baton queue --watch 500ms
        baton queue --json | jq .oldestPendingSeconds

      What holds reviews back comes first: the worker, the broker, Postgres, a role that does not run; since when, and what to do. Then who is \
      not told of them: endpoints without their events, pull requests without their feedback.
      With --json, what GET /api/stats answers: {"queue": {"name", "ready", "unacknowledged", "consumers", "dead"}, \
      "reviews": {"pending", "queued", "running", "completed", "failed", "cancelled"}, "held", "oldestPendingSeconds", \
      "oldestQueuedSeconds", "stalledSeconds", "problems": [{"grade", "title", "since", "reason", "advice"}]}; held are the \
      pending reviews that are available at infinity, so never due; ages are null if nothing waits, queue if the broker cannot be \
      reached (exit status 69) or has no such queue (1).
      """)

  @Option(
    defaultAsFlag: TimeSpan("2s", .seconds(2)),
    help: ArgumentHelp("Refresh until interrupted; every 2 s unless an interval is given.", valueName: "interval"))
  var watch: TimeSpan?

  @Flag(help: "Print JSON, one line.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var broker: BrokerOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton queue", common, [database, broker], requiring: [.databaseURL, .amqpURL])
    try await session.withStore { store in
      var reader = StatsReader(session: session, store: store)
      do {
        if let watch { try await follow(&reader, every: watch) } else { try show(try await reader.read()) }
      } catch {
        await reader.close()
        throw error
      }
      await reader.close()
    }
  }

  private func follow(_ reader: inout StatsReader, every interval: TimeSpan) async throws {
    var display = LiveDisplay()
    let isLive = Terminal.output.isInteractive && !json
    while true {
      do {
        let reading = try await reader.read()
        if isLive { try draw(reading, &display, every: interval) } else { try show(reading) }
      } catch {
        guard Self.mayPass(error), let failure = Failure(error) else { throw error }
        if isLive { try Output.write(display.frame(Self.lines(of: failure))) } else { Output.note("Error: \(failure)") }
      }
      try await ContinuousClock().sleep(for: interval.duration)
    }
  }

  /// Whether a watch goes on: what it is watched for is often that. Wrong settings end it.
  private static func mayPass(_ error: any Error) -> Bool {
    switch error {
    case let fault as any QueueFault: fault.faultKind == .notFound || Failure(fault).status == .unavailable
    case let fault as any StoreFault:
      fault.isTransient || fault.cause == .timeout || Failure(fault, at: nil).status == .unavailable
    default: Failure(error)?.status == .unavailable
    }
  }

  private func show(_ reading: StatsReader.Reading) throws {
    if json {
      try Output.json(reading.stats)
    } else {
      let terminal = Terminal.output
      try Output.lines(
        reading.stats.lines(width: terminal.width, usesColor: terminal.usesColor, queueFault: reading.fault))
    }
    if let fault = reading.fault { throw fault }
  }

  private func draw(_ reading: StatsReader.Reading, _ display: inout LiveDisplay, every interval: TimeSpan) throws {
    let terminal = Terminal.output
    let (columns, rows) = terminal.size
    var lines = reading.stats.lines(width: columns - 1, usesColor: terminal.usesColor, queueFault: reading.fault)
    lines += reading.fault.map { Self.lines(of: Failure($0)) } ?? []
    let footer = "\(Times.clock(.processNow)) UTC, every \(Times.span(interval.duration)); Ctrl-C ends"
    lines.append(Style.dim.applied(to: DisplayText.fitted(footer, to: columns - 1), terminal.usesColor))
    try Output.write(display.frame(Array(lines.prefix(rows - 1))))
  }

  private static func lines(of failure: Failure) -> [String] {
    let width = Terminal.output.size.columns - 1
    return DisplayText.safeLines(failure.description).map { DisplayText.fitted($0, to: width) }
  }
}

/// Reads the load again and again over the same connections.
private struct StatsReader {
  /// The load, and why the broker's half of it is missing.
  struct Reading {
    var stats: StatsBody
    var fault: (any QueueFault)?
  }

  let session: CommandSession
  let store: ReviewStore
  private var connection: QueueConnection?

  init(session: CommandSession, store: ReviewStore) {
    self.session = session
    self.store = store
  }

  /// The load as it is now; if the broker cannot be reached, or has no such queue, what Postgres knows.
  mutating func read() async throws -> Reading {
    let loads = LoadFigures(
      store: store, heartbeatTimeout: session.settings.heartbeatTimeout, ownerLimit: session.settings.ownerLimit,
      queueStats: { nil })
    let rows = try await store.stats(heartbeatTimeout: session.settings.heartbeatTimeout)
    let health = try await loads.health(rows, withUndelivered: true)
    do {
      return Reading(stats: StatsBody(store: rows, queue: try await figures(), health: health), fault: nil)
    } catch let fault as any QueueFault where fault.isConnectionLost || fault.faultKind == .notFound {
      await close()
      return Reading(stats: StatsBody(store: rows, queue: nil, health: health), fault: fault)
    }
  }

  mutating func close() async {
    await connection?.close()
    connection = nil
  }

  private mutating func figures() async throws -> QueueFigures {
    let broker: QueueConnection
    if let connection {
      broker = connection
    } else {
      broker = try await session.connectToBroker()
      connection = broker
    }
    let work = try await broker.status()
    let dead = try await broker.deadCount()
    return QueueFigures(
      name: session.settings.queue, ready: work.messagesReady, consumers: work.consumers, dead: dead)
  }
}

extension StatsBody {
  /// What holds reviews back, then two tables: the broker's side and the database's.
  /// - Parameters:
  ///   - width: of the terminal; nil for none.
  ///   - usesColor: whether it has colours.
  ///   - queueFault: why the broker's side is missing.
  ///   - now: for the ages of problems.
  func lines(
    width: Int?, usesColor: Bool, queueFault: (any QueueFault)? = nil, now: Timestamp = .processNow
  ) -> [String] {
    var broker = Table([
      .left("QUEUE"), .right("READY"), .right("UNACKNOWLEDGED"), .right("CONSUMERS"), .right("DEAD"),
    ])
    if let queue {
      broker.append([
        .init(queue.name), .init("\(queue.ready)"), .init("\(queue.unacknowledged)"),
        .init("\(queue.consumers)", queue.consumers == 0 ? .yellow : nil),
        .init("\(queue.dead)", queue.dead > 0 ? .red : nil),
      ])
    } else {
      let reason = queueFault?.faultKind == .notFound ? "queue is missing" : "broker not reached"
      broker.append([.init(reason, .red), .init(nil), .init(nil), .init(nil), .init(nil)])
    }
    var rows = Table([.left("REVIEWS"), .right("COUNT"), .right("OLDEST WAITS FOR")])
    let ages = [ReviewStatus.pending: oldestPendingSeconds, .queued: oldestQueuedSeconds]
    for status in ReviewStatus.allCases {
      let age = ages[status].flatMap { $0 }.map { Times.span(.seconds($0)) }
      rows.append([
        .init(status.rawValue, status.style), .init("\(reviews[status.rawValue] ?? 0)"), .init(age ?? ""),
      ])
    }
    let note = held > 0 ? ["", "Held: \(held) of the pending reviews are available at infinity, so never due."] : []
    let findings = problems.flatMap { $0.lines(width: width, usesColor: usesColor, now: now) + [""] }
    return findings + broker.lines(width: width, usesColor: usesColor) + [""]
      + rows.lines(width: width, usesColor: usesColor)
      + note.map { line in width.map { DisplayText.fitted(line, to: $0) } ?? line }
  }
}

internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
package import Settings

/// How many files and sockets this process may have open, and how they are divided.
///
/// Postgres, the broker and the process itself come first. The rest is for connections whose number others decide: HTTP clients, the
/// worker, platforms, agents. Each of these has a bound, so that none of them takes the last descriptor from the rows and tickets.
package struct OpenFiles: Sendable {
  /// What takes descriptors in numbers that others decide.
  package enum Use: String, Sendable {
    case clients = "HTTP connections of clients"
    case probes = "HTTP connections of probes"
    case worker = "connections to the worker for starts"
    case workerQuestions = "connections to the worker for questions"
    case platforms = "connections to each GitHub or GitLab host"
    case events = "connections to endpoints of events"
    case agents = "agents at once"
    case callbacks = "connections for callbacks"
  }

  /// What one use asks for.
  package struct Demand: Sendable {
    package var use: Use
    package var wanted: Int
    /// The least that the role needs to work.
    package var least: Int
    /// Descriptors that one of them takes.
    package var cost: Int

    package init(_ use: Use, wanted: Int, least: Int, cost: Int = 1) {
      (self.use, self.wanted, self.least, self.cost) = (use, max(wanted, 1), min(least, max(wanted, 1)), max(cost, 1))
    }
  }

  /// What the process has beyond what is open at its start: wake-up descriptors of its threads (7), sessions of the holder and a
  /// request to cancel (4), the broker (3), listening sockets (2), name look-ups and files that are read (6), timers and signals of the
  /// runtime (8).
  private static let reserve = 30

  private let shares: [Use: Int]

  /// How many of a use may be open; nil if the role did not ask for it.
  package subscript(use: Use) -> Int? { shares[use] }

  /// Raises the limit to what the system allows, starts the event loops while there are descriptors and threads for them, and divides the
  /// rest. To be made before anything connects.
  /// - Parameters:
  ///   - role: for messages: `baton consume`.
  ///   - connections: to Postgres, of the pool.
  ///   - demands: what the role opens besides the connections to Postgres.
  ///   - logger: for what it reports.
  /// - Throws: if the role could not work.
  package init(
    _ role: String, connections: Int, demands: [Demand], logger: Logger
  ) throws(SettingsError) {
    let limit = Self.raiseLimit()
    let least = demands.reduce(0) { $0 + $1.least * $1.cost }
    let loopCount = NIOSingletons.groupLoopCountSuggestion
    // A loop takes three descriptors: on a machine with many cores they would be most of a low limit.
    if loopCount > 2 && 3 * loopCount > limit / 8 { NIOSingletons.groupLoopCountSuggestion = 2 }
    let loops = NIOSingletons.groupLoopCountSuggestion
    let needed = Self.openCount + 3 * loops + connections + Self.reserve + least
    guard needed <= limit else {
      throw SettingsError(faults: [
        "the limit of open files is \(limit), and `\(role)` needs at least \(needed) with \(connections) connections to "
          + "Postgres: raise it (LimitNOFILE= of the unit, ulimit -n, --ulimit nofile= of the container)"
      ])
    }
    try Self.checkThreads(role, count: loops + System.coreCount + Self.threadCount)
    _ = MultiThreadedEventLoopGroup.singleton.next()
    shares = Self.divide(limit - needed + least, among: demands)
    for demand in demands {
      guard let share = shares[demand.use], share < demand.wanted else { continue }
      logger.warning(
        "the limit of open files is low: fewer \(demand.use.rawValue); everything works, but slower. Raise the limit",
        metadata: ["limit": "\(limit)", "wanted": "\(demand.wanted)", "allowed": "\(share)"])
    }
  }

  /// Gives every use the least, and then equal parts of what is left; what a use does not want goes to the others. So one that wants much
  /// leaves one that wants little all of it.
  static func divide(_ spare: Int, among demands: [Demand]) -> [Use: Int] {
    var left = max(spare - demands.reduce(0) { $0 + $1.least * $1.cost }, 0)
    var shares: [Use: Int] = [:]
    let byWant = demands.sorted { ($0.wanted - $0.least) * $0.cost < ($1.wanted - $1.least) * $1.cost }
    for (index, demand) in byWant.enumerated() {
      let part = left / (byWant.count - index)
      let extra = min(demand.wanted - demand.least, part / demand.cost)
      shares[demand.use] = demand.least + extra
      left -= extra * demand.cost
    }
    return shares
  }

  /// Raises the soft limit to the hard one: the usual default of 1024 is meant for programs that use select(2).
  /// - Returns: the limit that holds now.
  private static func raiseLimit() -> Int {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return 1_024 }
    var raised = limit
    raised.rlim_cur = limit.rlim_max
    if limit.rlim_cur < limit.rlim_max && setrlimit(resource, &raised) == 0 { limit = raised }
    return Int(clamping: limit.rlim_cur)
  }

  /// How many descriptors are open now, those inherited among them.
  private static var openCount: Int {
    guard let folder = opendir("/proc/self/fd") else { return 16 }
    defer { closedir(folder) }
    // `.`, `..` and the folder's own.
    var count = -3
    while readdir(folder) != nil { count += 1 }
    return max(count, 3)
  }
}

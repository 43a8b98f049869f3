internal import Primitives
internal import ReviewStore
internal import Reviews

/// Everything that the front page shows, of one moment.
struct Overview: Sendable {
  var now: Timestamp
  var stats: StoreStats
  /// nil if the broker cannot be reached.
  var queue: QueueFigures?
  /// The busiest, at most ``ownerCountMax``.
  var owners: [OwnerLoad] = []
  var blockedReviews: [BlockedReviews] = []
  var failures: [FailureGroup] = []
  /// nil if every pull request got its feedback.
  var givenUp: GivenUpFeedback?
  /// Endpoints of events.
  var endpoints: [Endpoint] = []
  /// The newest first.
  var versions: [WorkerVersion] = []
  /// The last hour's minutes in which something happened, and the present one.
  var flow: [FlowMinute] = []
  var holders: [HolderStanding] = []
  /// nil if it could not be read.
  var health: SystemHealth?
  var ownerLimit: Int

  /// Owners that are read; fewer are shown.
  static let ownerCountMax = 2_000
}

/// Reads the front page's figures. What looks back, over the last hour or day, is read less often than what is now, and then only the
/// minutes that can have changed.
actor OverviewReader {
  private let store: ReviewStore
  private let figures: LoadFigures
  private let policy: WatchPolicy

  private var minutes: [Timestamp: FlowMinute] = [:]
  private var failures: [FailureGroup] = []
  private var givenUp: GivenUpFeedback?
  private var endpoints: [Endpoint] = []
  private var versions: [WorkerVersion] = []
  /// When those were read, by the database's clock.
  private var readAt: Timestamp?

  /// How old what looks back may be.
  private static let historyInterval = Duration.seconds(10)
  private static let hour = Duration.seconds(3_600)
  private static let holderCountMax = 40

  init(store: ReviewStore, figures: LoadFigures, policy: WatchPolicy) {
    self.store = store
    self.figures = figures
    self.policy = policy
  }

  /// - Throws: `StoreFault`.
  func read() async throws -> Overview {
    // Side by side: one after another, each would add the way to Postgres and back.
    async let health = figures.health(withUndelivered: true)
    async let queue = figures.queue()
    async let blocked = store.blockedReviews(policy.times, queue: policy.queue)
    async let holders = store.holders(heartbeatTimeout: policy.times.heartbeatTimeout, limit: Self.holderCountMax)
    async let owners = store.liveOwners(ownerLimit: policy.ownerLimit, limit: Overview.ownerCountMax)
    let known = try await health
    let now = known.now
    var overview = Overview(now: now, stats: known.stats, queue: await queue, ownerLimit: policy.ownerLimit)
    overview.health = known
    overview.owners = try await owners
    overview.blockedReviews = try await blocked
    overview.holders = try await holders
    try await readHistory(now)
    overview.failures = failures
    overview.givenUp = givenUp
    overview.endpoints = endpoints
    overview.versions = versions
    overview.flow = minutes.values.sorted { $0.start < $1.start }
    return overview
  }

  private func readHistory(_ now: Timestamp) async throws {
    let age = readAt.map { now.since($0) } ?? Self.hour
    guard age >= Self.historyInterval else { return }
    // Two more than have passed: a minute's figures change until the transactions that began in it are done.
    let count = Int(min(age, Self.hour) / .seconds(60)) + 2
    async let flow = store.flow(minutes: count)
    async let failed = store.recentFailures()
    async let feedback = store.givenUpFeedback()
    async let events = store.endpoints()
    async let workers = store.workerVersions()
    let fresh = try await flow
    failures = try await failed
    givenUp = try await feedback
    endpoints = try await events
    versions = try await workers
    let first = now.microseconds - Int64(count) * 60_000_000
    let last = now.microseconds - 3_660_000_000
    minutes = minutes.filter { last < $0.key.microseconds && $0.key.microseconds < first - first % 60_000_000 }
    for minute in fresh { minutes[minute.start] = minute }
    readAt = now
  }
}

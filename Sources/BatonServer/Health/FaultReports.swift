internal import Primitives
internal import ReviewStore

/// What living processes report of one kind of fault.
struct FaultReports: Sendable {
  private var reports: [(fault: Holder.Fault, holder: HolderStanding)]

  /// - Parameters:
  ///   - cause: the kind of fault.
  ///   - holders: the processes that live.
  init(_ cause: Holder.Fault.Cause, of holders: [HolderStanding]) {
    reports = holders.flatMap { holder in holder.health.faults.filter { $0.cause == cause }.map { ($0, holder) } }
  }

  private init(_ reports: [(fault: Holder.Fault, holder: HolderStanding)]) { self.reports = reports }

  var isEmpty: Bool { reports.isEmpty }

  /// How many were made.
  var count: Int { reports.count }

  /// Those of each target, in the order of the targets.
  var byTarget: [(target: String, reports: Self)] {
    Dictionary(grouping: reports) { $0.fault.target ?? "" }.sorted { $0.key < $1.key }.map { ($0, Self($1)) }
  }

  /// Since the first of them, by the database's clock.
  var since: Timestamp? {
    reports.map { $0.holder.heartbeatAt.moved(by: .zero - .seconds(saturating: $0.fault.seconds)) }.min()
  }

  /// Of the one that lasts longest.
  var reason: String? { reports.max { $0.fault.seconds < $1.fault.seconds }?.fault.reason }

  private var reporters: Set<String> { Set(reports.map { Self.name($0.holder) }) }

  private static func name(_ holder: HolderStanding) -> String { "\(holder.host) \(holder.processID)" }

  /// Whether each of these processes reports it, and there is one.
  func isFrom(all processes: [HolderStanding]) -> Bool {
    let reporters = reporters
    return !processes.isEmpty && processes.allSatisfy { reporters.contains(Self.name($0)) }
  }

  /// How many of these processes report it, for the end of a title.
  func share(of processes: [HolderStanding]) -> String {
    let (count, total) = (reporters.count, processes.count)
    return total == 1 ? "" : count == total ? " (all \(total) processes)" : " (\(count) of \(total) processes)"
  }
}

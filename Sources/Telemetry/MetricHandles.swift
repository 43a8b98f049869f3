internal import CoreMetrics
internal import Synchronization

/// The factory of the handles that are being made: an initial value of a property gets no argument.
enum MetricFactory {
  @TaskLocal static var current: any MetricsFactory = NOOPMetricsHandler.instance
}

/// Writes a metric, and knows what it is.
protocol MetricHandle: Sendable {
  var definition: MetricDefinition { get }
}

/// A count that only grows.
package struct MetricCounter: MetricHandle {
  let definition: MetricDefinition
  private let counter: Counter

  init(_ name: String, unit: String, help: String) {
    self.init(MetricDefinition(name, .counter, unit: unit, help: help))
  }

  init(
    _ definition: MetricDefinition, _ dimensions: [(String, String)] = [],
    factory: any MetricsFactory = MetricFactory.current
  ) {
    self.definition = definition
    counter = Counter(label: definition.name, dimensions: dimensions, factory: factory)
  }

  /// Adds, one by default.
  package func increment(by amount: Int = 1) { counter.increment(by: amount) }
}

/// A value that goes up and down.
package struct MetricGauge: MetricHandle {
  let definition: MetricDefinition
  private let meter: Meter

  init(_ name: String, _ kind: MetricDefinition.Kind, unit: String, help: String) {
    self.init(MetricDefinition(name, kind, unit: unit, help: help))
  }

  init(_ definition: MetricDefinition, _ dimensions: [(String, String)] = []) {
    self.definition = definition
    meter = Meter(label: definition.name, dimensions: dimensions, factory: MetricFactory.current)
  }

  /// Sets the value.
  package func set(_ value: some BinaryInteger) { meter.set(value) }
  /// Sets the value.
  package func set(_ value: Double) { meter.set(value) }
  /// Sets the value in seconds.
  package func set(seconds duration: Duration) { meter.set(duration / .seconds(1)) }
  /// Says that the value is not known at present: it is not shown until it is set again.
  package func unset() { meter.set(Double.nan) }
  /// Adds, one by default.
  package func increment(by amount: Double = 1) { meter.increment(by: amount) }
  /// Subtracts, one by default.
  package func decrement(by amount: Double = 1) { meter.decrement(by: amount) }
}

/// A histogram of durations, in seconds.
package struct MetricTimer: MetricHandle {
  let definition: MetricDefinition
  private let timer: Timer

  init(_ name: String, buckets: MetricBuckets, unit: String, help: String) {
    definition = MetricDefinition(name, .histogram(buckets: buckets.bounds), unit: unit, help: help)
    timer = Timer(label: name, dimensions: [], factory: MetricFactory.current)
  }

  /// Counts one duration; a negative one, which clocks of two machines can give, counts as zero.
  package func record(seconds duration: Duration) {
    // Nanoseconds in 64 bits reach 292 years; 270 is safely below that.
    let (seconds, attoseconds) = min(max(duration, .zero), .seconds(8_500_000_000)).components
    timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

/// A counter for each value of a label.
package struct MetricCounters<Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable>: MetricHandle {
  let definition: MetricDefinition
  private let counters: [Label: MetricCounter]

  init(_ name: String, label: String, unit: String, help: String) {
    let definition = MetricDefinition(
      name, .counter, unit: unit, help: help, labels: [label: Label.allCases.map(\.rawValue)])
    self.definition = definition
    counters = perLabel { MetricCounter(definition, [(label, $0)]) }
  }

  /// The label's counter.
  package func callAsFunction(_ label: Label) -> MetricCounter { existing(counters[label]) }
}

/// A gauge for each value of a label.
package struct MetricGauges<Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable>: MetricHandle {
  let definition: MetricDefinition
  private let gauges: [Label: MetricGauge]

  init(_ name: String, _ kind: MetricDefinition.Kind, label: String, unit: String, help: String) {
    let definition = MetricDefinition(
      name, kind, unit: unit, help: help, labels: [label: Label.allCases.map(\.rawValue)])
    self.definition = definition
    gauges = perLabel { MetricGauge(definition, [(label, $0)]) }
  }

  /// The label's gauge.
  package func callAsFunction(_ label: Label) -> MetricGauge { existing(gauges[label]) }
}

/// A gauge that is always 1: what it says is in its labels, whose values are known only as the program runs.
package struct MetricInfo: MetricHandle {
  let definition: MetricDefinition
  private let factory = MetricFactory.current

  /// - Parameter labels: their names; none of their values exists from the start.
  init(_ name: String, labels: KeyValuePairs<String, [String]>, help: String) {
    definition = MetricDefinition(name, .measured, unit: "1", help: help, labels: labels)
  }

  /// Shows a series of these values.
  /// - Parameter values: of each label, in the labels' order.
  package func set(_ values: [String]) {
    let dimensions = zip(definition.labels.map(\.name), values).map { ($0, $1) }
    Meter(label: definition.name, dimensions: dimensions, factory: factory).set(1)
  }
}

/// The counters of routes and statuses, each made when it is first asked for: a server asks for those that it expects at its start.
final class HTTPRequestCounters: MetricHandle {
  private struct Key: Hashable {
    let route: String
    let status: Int
  }

  let definition: MetricDefinition
  private let factory = MetricFactory.current
  private let counters = Mutex<[Key: MetricCounter]>([:])

  init(_ name: String, unit: String, help: String) {
    definition = MetricDefinition(name, .counter, unit: unit, help: help, labels: ["route": [], "status": []])
  }

  subscript(_ route: String, _ status: Int) -> MetricCounter {
    let key = Key(route: route, status: (100...599).contains(status) ? status : 599)
    return counters.withLock { counters in
      if let counter = counters[key] { return counter }
      let dimensions = [("route", route), ("status", String(key.status))]
      let counter = MetricCounter(definition, dimensions, factory: factory)
      counters[key] = counter
      return counter
    }
  }
}

/// One handle for each value of a label.
private func perLabel<Label: CaseIterable & Hashable & RawRepresentable<String>, Handle>(
  _ make: (String) -> Handle
) -> [Label: Handle] {
  Dictionary(uniqueKeysWithValues: Label.allCases.map { ($0, make($0.rawValue)) })
}

/// A handle was made for each case, so a missing one is our own mistake.
private func existing<Handle>(_ handle: Handle?) -> Handle {
  guard let handle else { preconditionFailure("a label without a handle") }
  return handle
}

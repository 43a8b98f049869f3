internal import CoreMetrics
internal import Synchronization

/// A count that only grows.
package struct MetricCounter: Sendable {
  private let counter: Counter

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory, _ dimensions: [(String, String)] = []) {
    counter = Counter(label: definition.name, dimensions: dimensions, factory: factory)
  }

  /// Adds, one by default.
  package func increment(by amount: Int = 1) { counter.increment(by: amount) }
}

/// A value that goes up and down.
package struct MetricGauge: Sendable {
  private let meter: Meter

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory, _ dimensions: [(String, String)] = []) {
    meter = Meter(label: definition.name, dimensions: dimensions, factory: factory)
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
package struct MetricTimer: Sendable {
  private let timer: Timer

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory) {
    timer = Timer(label: definition.name, dimensions: [], factory: factory)
  }

  /// Counts one duration; a negative one, which clocks of two machines can give, counts as zero.
  package func record(seconds duration: Duration) {
    // Nanoseconds in 64 bits reach 292 years; 270 is safely below that.
    let (seconds, attoseconds) = min(max(duration, .zero), .seconds(8_500_000_000)).components
    timer.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}

/// A counter for each value of a label.
package struct MetricCounters<Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable>: Sendable {
  private let counters: [Label: MetricCounter]

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory) {
    counters = perLabel(definition) { MetricCounter(definition, factory, $0) }
  }

  /// The label's counter.
  package func callAsFunction(_ label: Label) -> MetricCounter { existing(counters[label]) }
}

/// A gauge for each value of a label.
package struct MetricGauges<Label: CaseIterable & Hashable & RawRepresentable<String> & Sendable>: Sendable {
  private let gauges: [Label: MetricGauge]

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory) {
    gauges = perLabel(definition) { MetricGauge(definition, factory, $0) }
  }

  /// The label's gauge.
  package func callAsFunction(_ label: Label) -> MetricGauge { existing(gauges[label]) }
}

/// The counters of routes and statuses, each made when it is first asked for: a server asks for those that it expects at its start.
final class HTTPRequestCounters: Sendable {
  private struct Key: Hashable {
    let route: String
    let status: Int
  }

  private let definition: MetricDefinition
  private let factory: any MetricsFactory
  private let counters = Mutex<[Key: MetricCounter]>([:])

  init(_ definition: MetricDefinition, _ factory: any MetricsFactory) {
    self.definition = definition
    self.factory = factory
  }

  subscript(_ route: String, _ status: Int) -> MetricCounter {
    let key = Key(route: route, status: (100...599).contains(status) ? status : 599)
    return counters.withLock { counters in
      if let counter = counters[key] { return counter }
      let dimensions = [("route", route), ("status", String(key.status))]
      let counter = MetricCounter(definition, factory, dimensions)
      counters[key] = counter
      return counter
    }
  }
}

/// One handle for each value of a metric's only label.
private func perLabel<Label: CaseIterable & Hashable & RawRepresentable<String>, Handle>(
  _ definition: MetricDefinition, _ make: ([(String, String)]) -> Handle
) -> [Label: Handle] {
  precondition(definition.labels.count == 1, "\(definition.name) needs exactly one label")
  let pairs = Label.allCases.map { ($0, make([(definition.labels[0].name, $0.rawValue)])) }
  return Dictionary(uniqueKeysWithValues: pairs)
}

/// A handle was made for each case, so a missing one is our own mistake.
private func existing<Handle>(_ handle: Handle?) -> Handle {
  guard let handle else { preconditionFailure("a label without a handle") }
  return handle
}

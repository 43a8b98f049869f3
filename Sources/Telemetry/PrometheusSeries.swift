internal import CoreMetrics
internal import Synchronization

/// What every time series can do for the registry.
protocol PrometheusSeries: AnyObject, Sendable {
  /// Appends its sample lines.
  /// - Parameter labels: what stands between the braces, escaped, perhaps empty.
  func render(name: String, labels: String, into text: inout String)
}

/// One addition to an atomic an increment.
final class CounterSeries: PrometheusSeries, CounterHandler {
  private let value = Atomic<Int64>(0)

  func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
  func reset() { value.store(0, ordering: .relaxed) }

  func render(name: String, labels: String, into text: inout String) {
    Exposition.sample(name, labels, String(value.load(ordering: .relaxed)), into: &text)
  }
}

/// A gauge under both of swift-metrics' names for it; NaN means "not known" and is not shown.
final class GaugeSeries: PrometheusSeries, MeterHandler, RecorderHandler {
  private let bits: Atomic<UInt64>

  init(_ value: Double) { bits = Atomic(value.bitPattern) }

  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
  func increment(by amount: Double) { add(amount) }
  func decrement(by amount: Double) { add(-amount) }

  private func add(_ amount: Double) {
    var old = bits.load(ordering: .relaxed)
    while true {
      let value = Double(bitPattern: old)
      let new = (value.isNaN ? amount : value + amount).bitPattern
      let (exchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
      if exchanged { return }
      old = original
    }
  }

  func render(name: String, labels: String, into text: inout String) {
    let value = Double(bitPattern: bits.load(ordering: .relaxed))
    if !value.isNaN { Exposition.sample(name, labels, Exposition.number(value), into: &text) }
  }
}

/// Counts by upper bound, their sum and their number. Durations come in as nanoseconds and are kept in seconds.
final class HistogramSeries: PrometheusSeries, TimerHandler, RecorderHandler {
  private struct State {
    /// One for each bound, not cumulative, and one for what lies above the last.
    var counts: [UInt64]
    var sum = 0.0
  }

  private let bounds: [Double]
  private let state: Mutex<State>

  init(buckets: [Double]) {
    bounds = buckets
    state = Mutex(State(counts: Array(repeating: 0, count: buckets.count + 1)))
  }

  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    guard !value.isNaN else { return }
    let index = bounds.firstIndex { value <= $0 } ?? bounds.count
    state.withLock { state in
      state.counts[index] += 1
      state.sum += value
    }
  }

  func render(name: String, labels: String, into text: inout String) {
    let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
    let prefix = labels.isEmpty ? "" : labels + ","
    var total: UInt64 = 0
    for (index, count) in counts.enumerated() {
      total += count
      let bound = index < bounds.count ? Exposition.number(bounds[index]) : "+Inf"
      Exposition.sample("\(name)_bucket", "\(prefix)le=\"\(bound)\"", String(total), into: &text)
    }
    Exposition.sample("\(name)_sum", labels, Exposition.number(sum), into: &text)
    Exposition.sample("\(name)_count", labels, String(total), into: &text)
  }
}

/// The text format of Prometheus, version 0.0.4.
enum Exposition {
  static func header(_ name: String, kind: String, help: String, into text: inout String) {
    let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    if !help.isEmpty { text += "# HELP \(name) \(help)\n" }
    text += "# TYPE \(name) \(kind)\n"
  }

  static func sample(_ name: String, _ labels: String, _ value: String, into text: inout String) {
    text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
  }

  /// What stands between the braces.
  static func labels(_ dimensions: [(String, String)]) -> String {
    dimensions.map { name, value in
      let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
      return "\(self.name(name, isLabel: true))=\"\(escaped)\""
    }.joined(separator: ",")
  }

  /// A name with only what Prometheus allows: the rest becomes `_`.
  static func name(_ text: String, isLabel: Bool = false) -> String {
    let name = String(
      text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || !isLabel && $0 == ":") ? $0 : "_" })
    return name.first.map { $0.isNumber } ?? true ? "_\(name)" : name
  }

  /// Whole numbers without a fraction, infinities by their Prometheus names.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map { String($0) } ?? "\(value)"
  }
}

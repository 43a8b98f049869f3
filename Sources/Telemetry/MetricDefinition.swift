/// One metric as the outside sees it: what is measured, in which unit, by which labels.
package struct MetricDefinition: Sendable {
  /// How a metric behaves, in Prometheus's words.
  package enum Kind: Sendable, Hashable {
    /// Only grows, from 0 at the start of the process.
    case counter
    /// Goes up and down, from 0 at the start of the process.
    case gauge
    /// A gauge of something outside of the process: absent until it has been measured, and again while it is
    /// set to NaN, as a 0 that was not measured would be false.
    case measured
    /// A counter that is kept elsewhere, in the database or by the system: absent until it has been read.
    case total
    /// Counts of durations by upper bounds in seconds, rising.
    case histogram(buckets: [Double])

    /// The word behind `# TYPE`.
    package var name: String {
      switch self {
      case .counter, .total: "counter"
      case .gauge, .measured: "gauge"
      case .histogram: "histogram"
      }
    }
  }

  /// With its unit or `_total` at the end.
  package let name: String
  /// How it behaves.
  package let kind: Kind
  /// One sentence.
  package let help: String
  /// The unit in words: "seconds", "messages".
  package let unit: String
  /// The label names in order, each with the values that exist from the start.
  package let labels: [(name: String, values: [String])]

  /// - Parameters:
  ///   - name: with its unit or `_total` at the end.
  ///   - kind: how it behaves.
  ///   - unit: in words.
  ///   - help: one sentence.
  ///   - labels: names, each with the values that exist from the start.
  package init(
    _ name: String, _ kind: Kind, unit: String, help: String, labels: KeyValuePairs<String, [String]> = [:]
  ) {
    self.name = name
    self.kind = kind
    self.help = help
    self.unit = unit
    self.labels = labels.map { ($0.key, $0.value) }
  }
}

/// Upper bounds in seconds.
struct MetricBuckets: Sendable {
  let bounds: [Double]

  /// Round trips within a machine room: 1 ms to 10 s.
  static let roundTrip = Self(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  /// Work with calls to platforms and workers: 10 ms to a minute.
  static let call = Self(bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60])
  /// Waiting in line: 10 ms to an hour.
  static let wait = Self(bounds: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600])
}

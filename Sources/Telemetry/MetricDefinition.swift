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
    /// A counter that is kept outside of the process, in the database: whole, absent until it has been read.
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

  /// - Parameter labels: names, each with the values that exist from the start.
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

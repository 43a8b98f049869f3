package import CoreMetrics
internal import Resilience
internal import Synchronization

/// Keeps the time series that swift-metrics' handles write to, and renders them for a scrape.
///
/// An increment is one atomic addition, a duration one short lock; making a handle takes the registry's lock and builds
/// strings, so handles are made once and kept.
///
/// Metrics of libraries, which have no definition here, appear under their own names made valid, with `_total` or `_seconds`
/// behind them. At most `seriesMax` series a metric are shown; further ones count into the void, so that a label gone wild
/// cannot fill the memory.
package final class PrometheusRegistry: MetricsFactory {
  /// The most series of one metric.
  package static let seriesMax = 1000
  /// The bounds of a histogram without a definition, in seconds.
  package static let defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

  private struct Family {
    let kind: String
    let help: String
    var series: [String: any PrometheusSeries] = [:]
  }

  private let definitions: [String: MetricDefinition]
  private let families = Mutex<[String: Family]>([:])
  private let hooks: Hooks
  private let measured: Remembered<Void>

  /// - Parameter definitions: help, kind and buckets of the metrics known by name.
  package init(definitions: [MetricDefinition]) {
    self.definitions = Dictionary(definitions.map { ($0.name, $0) }) { first, _ in first }
    let hooks = Hooks()
    self.hooks = hooks
    measured = Remembered { await hooks.run() }
  }

  /// Adds something to run before every `collect()`: it sets the gauges of what is asked for rather than counted. Hooks run
  /// side by side and bound their own time.
  package func onCollect(_ hook: @escaping @Sendable () async -> Void) {
    hooks.add(hook)
  }

  /// Runs the hooks, then renders.
  package func collect() async -> String {
    await hooks.run()
    return exposition()
  }

  /// Renders what the hooks have measured within the last second, and has them measure otherwise: for a port that is open to all.
  package func scrape() async -> String {
    try? await measured.value()
    return exposition()
  }

  /// All series in the text format 0.0.4, sorted by name and labels; served as `text/plain; version=0.0.4`.
  package func exposition() -> String {
    let families = families.withLock { $0 }
    var text = ""
    for (name, family) in families.sorted(by: { $0.key < $1.key }) {
      var samples = ""
      for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
        series.render(name: name, labels: labels, into: &samples)
      }
      guard !samples.isEmpty else { continue }
      Exposition.header(name, kind: family.kind, help: family.help, into: &text)
      text += samples
    }
    return text
  }

  /// Finds or makes a series. One of another kind than the metric's is made as well, but never shown: a scrape must stay
  /// readable whatever a library does.
  private func series<Series: PrometheusSeries>(
    _ label: String, _ dimensions: [(String, String)], suffix: String, kind: String, make: (MetricDefinition?) -> Series
  ) -> Series {
    let name = name(label, suffix: suffix)
    let definition = definitions[name]
    let labels = Exposition.labels(dimensions)
    return families.withLock { families in
      var family = families[name] ?? Family(kind: kind, help: definition?.help ?? "")
      if let present = family.series[labels] as? Series { return present }
      let made = make(definition)
      guard family.kind == kind, family.series[labels] == nil, family.series.count < Self.seriesMax else { return made }
      family.series[labels] = made
      families[name] = family
      return made
    }
  }

  private func name(_ label: String, suffix: String) -> String {
    let name = Exposition.name(label)
    return definitions[name] != nil || name.hasSuffix(suffix) ? name : name + suffix
  }

  private func remove(_ handler: AnyObject) {
    families.withLock { families in
      for (name, family) in families {
        guard let labels = family.series.first(where: { $0.value === handler })?.key else { continue }
        families[name]?.series[labels] = nil
      }
    }
  }

  private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeSeries {
    // A total is set like a gauge, and shown as what it is.
    let kind = if case .total? = definitions[Exposition.name(label)]?.kind { "counter" } else { "gauge" }
    return series(label, dimensions, suffix: "", kind: kind) { definition in
      switch definition?.kind {
      case .measured?, .total?: GaugeSeries(.nan)
      default: GaugeSeries(0)
      }
    }
  }

  private func histogram(_ label: String, _ dimensions: [(String, String)], suffix: String) -> HistogramSeries {
    series(label, dimensions, suffix: suffix, kind: "histogram") { definition in
      if case .histogram(let buckets) = definition?.kind { return HistogramSeries(buckets: buckets) }
      return HistogramSeries(buckets: Self.defaultBuckets)
    }
  }
}

extension PrometheusRegistry {
  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    series(label, dimensions, suffix: "_total", kind: "counter") { _ in CounterSeries() }
  }

  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    gauge(label, dimensions)
  }

  package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    aggregate ? histogram(label, dimensions, suffix: "") : gauge(label, dimensions)
  }

  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    histogram(label, dimensions, suffix: "_seconds")
  }

  package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}

/// What is done before a scrape.
private final class Hooks: Sendable {
  private let hooks = Mutex<[@Sendable () async -> Void]>([])

  func add(_ hook: @escaping @Sendable () async -> Void) { hooks.withLock { $0.append(hook) } }

  func run() async {
    let hooks = hooks.withLock { $0 }
    await withDiscardingTaskGroup { group in
      for hook in hooks { group.addTask(operation: hook) }
    }
  }
}

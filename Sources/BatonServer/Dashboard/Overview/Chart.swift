internal import Primitives
internal import ReviewStore
internal import Reviews

/// A picture of the last hour, minute by minute: only shapes, stretched to whatever room there is; every text next to it is HTML, so
/// that it stays readable at any width.
struct Chart: Sendable {
  /// One kind of value.
  struct Series: Sendable {
    /// As the style sheet and the key call it.
    var name: String
    /// By minutes ago, the present one at 0; nil if there is none.
    var values: [Int: Double]
  }

  var id: String
  var title: String
  var series: [Series]
  /// Whether the values are seconds; otherwise they are counts.
  var isTime: Bool
  /// The first instant of the present minute.
  var minute: Timestamp
  /// What it says in one sentence.
  var summary: String

  /// Minutes shown, the present one included.
  static let minuteCount = 60
  /// Of the drawing, in its own units; a minute is ten wide.
  private static let (width, height) = (600, 160)

  var figure: HTML {
    let top = Self.scale(series.flatMap(\.values.values).max() ?? 0, isTime: isTime)
    let key =
      series.count < 2 ? [] : series.map { series -> HTML in "<li class=\"\(series.name)\">\(series.name)</li>" }
    return """
      <figure class="chart" id="\(id)">
      <figcaption><h3>\(title)</h3><p>\(summary)</p></figcaption>
      \(key.isEmpty ? HTML.none : "<ul class=\"key\" aria-hidden=\"true\">\(key)</ul>")
      <div class="plot">
      <div class="scale" aria-hidden="true"><span>\(label(top))</span><span>\(label(top / 2))</span><span>0</span></div>
      <svg viewBox="0 0 \(Self.width) \(Self.height)" preserveAspectRatio="none" role="img" aria-label="\(title): \(summary)">
      <path class="grid" d="M0 0.5H\(Self.width)M0 \(Self.height / 2)H\(Self.width)M0 \(Self.height)H\(Self.width)"/>
      \(isTime ? lines(top) : bars(top))
      \(hover)
      </svg>
      </div>
      <div class="hours" aria-hidden="true"><span>60 min ago</span><span>30 min</span><span>now</span></div>
      </figure>
      """
  }

  private func label(_ value: Double) -> String {
    if isTime { return Reading.span(.seconds(value)) }
    return value == value.rounded() ? Reading.grouped(Int(value)) : "\(value)"
  }

  private static func x(_ minutesAgo: Int) -> Int { width - (minutesAgo + 1) * 10 }

  private static func y(_ value: Double, _ top: Double) -> Int {
    height - Int((value / top * Double(height - 2)).rounded(.up))
  }

  private func bars(_ top: Double) -> [HTML] {
    series.flatMap { series in
      (0..<Self.minuteCount).reversed().compactMap { ago -> HTML? in
        guard let value = series.values[ago], value > 0 else { return nil }
        let y = Self.y(value, top)
        let kind = ago == 0 ? "bar present" : "bar"
        return "<rect class=\"\(kind)\" x=\"\(Self.x(ago) + 1)\" y=\"\(y)\" width=\"8\" height=\"\(Self.height - y)\"/>"
      }
    }
  }

  /// A line for each stretch of minutes that have a value; a minute by itself is a short dash.
  private func lines(_ top: Double) -> [HTML] {
    series.map { series in
      var path = ""
      for ago in (0..<Self.minuteCount).reversed() {
        guard let value = series.values[ago] else { continue }
        let (x, y) = (Self.x(ago), Self.y(value, top))
        if series.values[ago + 1] == nil || ago + 1 == Self.minuteCount {
          path += "M\(x + 2) \(y)L\(x + 8) \(y)"
        } else {
          path += "L\(x + 5) \(y)"
        }
      }
      return "<path class=\"line \(series.name)\" d=\"\(path)\"/>"
    }
  }

  /// The text shown while the pointer rests on a minute.
  private var hover: [HTML] {
    (0..<Self.minuteCount).reversed().compactMap { ago -> HTML? in
      let values = series.compactMap { series in
        series.values[ago].map { value in
          (self.series.count > 1 ? "\(series.name) " : "") + label(value)
        }
      }
      guard !values.isEmpty else { return nil }
      let start = Timestamp(microseconds: minute.microseconds - Int64(ago) * 60_000_000).description
      return """
        <rect class="hover" x="\(Self.x(ago))" y="0" width="10" height="\(Self.height)">\
        <title>\(start.dropFirst(11).prefix(5)) UTC: \(values.joined(separator: ", "))</title></rect>
        """
    }
  }

  /// The next round value above the highest.
  static func scale(_ highest: Double, isTime: Bool) -> Double {
    let times: [Double] = [
      0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400,
    ]
    if isTime, highest == 0 { return 1 }
    if isTime, let round = times.first(where: { $0 >= highest }) { return round }
    var unit = isTime ? 86_400.0 : 1
    while true {
      for factor in [1.0, 2, 4, 6, 8] where factor * unit >= highest && factor * unit >= 4 { return factor * unit }
      unit *= 10
    }
  }
}

extension Overview {
  /// How much was dispatched, and how long it had waited.
  var charts: [Chart] {
    let minute = Timestamp(microseconds: now.microseconds - now.microseconds % 60_000_000)
    var dispatched: [Int: Double] = [:]
    var median: [Int: Double] = [:]
    var p95: [Int: Double] = [:]
    for one in flow {
      let ago = Int((minute.microseconds - one.start.microseconds) / 60_000_000)
      guard (0..<Chart.minuteCount).contains(ago) else { continue }
      dispatched[ago] = Double(one.dispatched)
      median[ago] = one.waitMedian.map { $0 / .seconds(1) }
      p95[ago] = one.waitP95.map { $0 / .seconds(1) }
    }
    let total = Int(dispatched.values.reduce(0, +))
    let most = Int(dispatched.values.max() ?? 0)
    let worst = p95.values.max().map { Reading.span(.seconds($0)) }
    let newest = p95.min { $0.key < $1.key }.map { Reading.span(.seconds($0.value)) }
    return [
      Chart(
        id: "rate", title: "Dispatched a minute", series: [.init(name: "dispatched", values: dispatched)],
        isTime: false,
        minute: minute,
        summary: total == 0
          ? "Nothing in the last hour"
          : "\(Reading.grouped(total)) in the last hour, at most \(Reading.grouped(most)) a minute"),
      Chart(
        id: "wait", title: "Time in queue",
        series: [.init(name: "median", values: median), .init(name: "p95", values: p95)], isTime: true, minute: minute,
        summary: newest.flatMap { newest in
          worst.map { "95 of 100 within \(newest) in the newest minute, \($0) in the slowest" }
        } ?? "Nothing in the last hour"),
    ]
  }
}

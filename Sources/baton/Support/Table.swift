/// Rows under aligned columns, for people; made to fit a terminal by cutting the widest columns.
///
/// Cells are made safe (``DisplayText/safe(_:byteCountMax:)``) as they are put in: a title cannot draw over its neighbours.
struct Table: Sendable {
  struct Column: Sendable {
    var title: String
    var isRightAligned = false
    /// Whether it may be cut before the others: prose rather than something to copy.
    var isFlexible = false
    /// Whether it is left out, the last such column first, before something to copy is cut.
    var isOptional = false
    /// Whether it is cut last: half an id is of no use.
    var isWhole = false
    /// Whether its end says more than its beginning: the number of a pull request.
    var isCutInFront = false

    static func left(_ title: String) -> Column { Column(title: title) }
    static func right(_ title: String) -> Column { Column(title: title, isRightAligned: true) }
    static func prose(_ title: String) -> Column { Column(title: title, isFlexible: true) }
    static func pullRequest(_ title: String) -> Column { Column(title: title, isFlexible: true, isCutInFront: true) }
    static func whole(_ title: String) -> Column { Column(title: title, isWhole: true) }
    static func optional(_ title: String) -> Column { Column(title: title, isOptional: true) }
  }

  struct Cell: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    var text: String
    var style: Style?

    init(_ text: String?, _ style: Style? = nil) {
      self.text = DisplayText.safe(text ?? "—", byteCountMax: 1_024)
      self.style = text == nil ? .dim : style
    }

    init(stringLiteral text: String) { self.init(text) }
  }

  private let columns: [Column]
  private(set) var rows: [[Cell]] = []
  private static let gap = 2
  private static let flexibleMin = 8
  /// Prose keeps so much if leaving out an optional column gives it that.
  private static let flexibleGood = 16

  init(_ columns: [Column]) { self.columns = columns }

  mutating func append(_ cells: [Cell]) {
    precondition(cells.count == columns.count, "a cell for each column")
    rows.append(cells)
  }

  /// The title line and a line for each row.
  /// - Parameter width: of the terminal; nil: as wide as the contents.
  func lines(width: Int?, usesColor: Bool = false) -> [String] {
    let natural = columns.indices.map { index in
      rows.reduce(DisplayText.width(columns[index].title)) { max($0, DisplayText.width($1[index].text)) }
    }
    let shown = shownColumns(natural, within: width)
    let widths = fitted(natural, shown, within: width)
    let titles = columns.map { Cell($0.title, .bold) }
    return ([titles] + rows).map { line($0, shown, widths, usesColor) }
  }

  private func line(_ cells: [Cell], _ shown: [Int], _ widths: [Int], _ usesColor: Bool) -> String {
    var line = ""
    for index in shown {
      let cell = cells[index]
      if index != shown.first { line += String(repeating: " ", count: Self.gap) }
      let text = DisplayText.fitted(cell.text, to: widths[index], cutInFront: columns[index].isCutInFront)
      let padding = String(repeating: " ", count: max(0, widths[index] - DisplayText.width(text)))
      let styled = cell.style?.applied(to: text, usesColor) ?? text
      if columns[index].isRightAligned {
        line += padding + styled
      } else {
        line += styled + padding
      }
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// All columns; if they do not fit with prose cut to a good length, without the optional ones that are too many.
  private func shownColumns(_ natural: [Int], within width: Int?) -> [Int] {
    var shown = Array(columns.indices)
    guard let width else { return shown }
    func least() -> Int {
      shown.reduce(Self.gap * (shown.count - 1)) { sum, index in
        sum + (columns[index].isFlexible ? min(natural[index], Self.flexibleGood) : natural[index])
      }
    }
    // A column without a value says nothing, and goes first.
    func isEmpty(_ index: Int) -> Bool {
      !rows.isEmpty && !columns[index].isWhole && rows.allSatisfy { $0[index].text.isEmpty }
    }
    while cuts(shown, natural, width), let empty = shown.last(where: isEmpty) {
      shown.removeAll { $0 == empty }
    }
    while least() > width, let last = shown.last(where: { columns[$0].isOptional }) { shown.removeAll { $0 == last } }
    return shown
  }

  /// Whether a column would have to be cut.
  private func cuts(_ shown: [Int], _ natural: [Int], _ width: Int) -> Bool {
    shown.reduce(Self.gap * (shown.count - 1)) { $0 + natural[$1] } > width
  }

  /// The natural widths; if they are too wide together, the widest flexible column loses first, then the widest of the others, and what
  /// has to stay whole at the very last.
  private func fitted(_ natural: [Int], _ shown: [Int], within width: Int?) -> [Int] {
    var widths = natural
    guard let width else { return widths }
    var excess = shown.reduce(Self.gap * (shown.count - 1)) { $0 + widths[$1] } - width
    while excess > 0 {
      let flexible = shown.filter { columns[$0].isFlexible && widths[$0] > Self.flexibleMin }
      let others = shown.filter { !columns[$0].isWhole && widths[$0] > 1 }
      let candidates = !flexible.isEmpty ? flexible : !others.isEmpty ? others : shown.filter { widths[$0] > 1 }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }
}

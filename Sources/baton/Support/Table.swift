/// Rows under aligned columns, for people; made to fit a terminal by cutting the widest columns.
///
/// Cells are made safe (``DisplayText/safe(_:byteCountMax:)``) as they are put in: a title cannot draw over its neighbours.
struct Table: Sendable {
  struct Column: Sendable {
    var title: String
    var isRightAligned = false
    /// Whether it may be cut before the others: prose rather than something to copy.
    var isFlexible = false

    static func left(_ title: String) -> Column { Column(title: title) }
    static func right(_ title: String) -> Column { Column(title: title, isRightAligned: true) }
    static func prose(_ title: String) -> Column { Column(title: title, isFlexible: true) }
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

  init(_ columns: [Column]) { self.columns = columns }

  mutating func append(_ cells: [Cell]) {
    precondition(cells.count == columns.count, "a cell for each column")
    rows.append(cells)
  }

  /// The title line and a line for each row.
  /// - Parameter width: of the terminal; nil: as wide as the contents.
  func lines(width: Int?, usesColor: Bool = false) -> [String] {
    let widths = widths(within: width)
    let titles = columns.map { Cell($0.title, .bold) }
    return ([titles] + rows).map { line($0, widths, usesColor) }
  }

  private func line(_ cells: [Cell], _ widths: [Int], _ usesColor: Bool) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      if index > 0 { line += String(repeating: " ", count: Self.gap) }
      let text = DisplayText.fitted(cell.text, to: widths[index])
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

  /// The natural widths; if they are too wide together, the widest flexible column loses first, then the widest of all.
  private func widths(within width: Int?) -> [Int] {
    var widths = columns.indices.map { index in
      rows.reduce(DisplayText.width(columns[index].title)) { max($0, DisplayText.width($1[index].text)) }
    }
    guard let width else { return widths }
    var excess = widths.reduce(0, +) + Self.gap * (widths.count - 1) - width
    while excess > 0 {
      let flexible = widths.indices.filter { columns[$0].isFlexible && widths[$0] > Self.flexibleMin }
      let candidates = flexible.isEmpty ? widths.indices.filter { widths[$0] > 1 } : flexible
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }
}

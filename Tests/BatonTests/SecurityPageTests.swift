import Foundation
import Testing

@Suite("The security page")
struct SecurityPageTests {
  private let page: Page

  init() throws { page = try Page("Security.md") }

  @Test("every file that it names exists, and every test stands in its file")
  func exist() throws {
    #expect(page.references.count > 50 && page.references.flatMap(\.tests).count > 20)
    _ = try page.checkReferences()
  }

  @Test("a requirement that is met has something that shows it; one that is not says what is missing")
  func states() {
    let rows = page.lines.map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }.filter {
      $0.count == 4 && $0[0].first?.isNumber == true
    }
    #expect(rows.count > 40)
    for row in rows {
      let state = row[2]
      #expect(state == "not met" || state == "in part" || state.hasPrefix("met"), "\(row)")
      #expect(!state.hasPrefix("met") || row[3].contains("`") || row[3] == "this page", "\(row)")
      #expect(row[3].count > 8, "\(row)")
    }
  }
}

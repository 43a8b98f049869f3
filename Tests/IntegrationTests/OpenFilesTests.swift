import Testing

@testable import Assembly

@Suite("The limit of open files, divided")
struct OpenFilesTests {
  private let demands: [OpenFiles.Demand] = [
    .init(.clients, wanted: 1_000, least: 8), .init(.agents, wanted: 4, least: 1, cost: 6),
    .init(.callbacks, wanted: 16, least: 1),
  ]

  @Test("with enough, every use gets what it wants")
  func enough() {
    let shares = OpenFiles.divide(2_000, among: demands)
    #expect(shares == [.clients: 1_000, .agents: 4, .callbacks: 16])
  }

  @Test("one that wants much leaves one that wants little all of it")
  func fair() {
    let shares = OpenFiles.divide(150, among: demands)
    #expect(shares == [.clients: 110, .agents: 4, .callbacks: 16])
  }

  @Test("every use has the least, and the sum is never more than there is", arguments: 15...200)
  func bounded(spare: Int) throws {
    let shares = OpenFiles.divide(spare, among: demands)
    var sum = 0
    for demand in demands {
      let share = try #require(shares[demand.use])
      #expect((demand.least...demand.wanted).contains(share))
      sum += share * demand.cost
    }
    #expect(sum <= spare)
  }
}

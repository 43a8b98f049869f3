import InMemoryReviewStore
import ReviewStore
import Support
import Testing

@testable import Dispatching

@Suite("The results of a batch")
struct BatchResultsTests {
  private struct Fault: LedgerFault {
    var faultKind: LedgerFaultKind
    var mayBeAboutOneRow: Bool
    var description: String { "\(faultKind)" }
  }

  /// Runs a batch of numbers of which some are refused.
  private func run(_ numbers: [Int], refusing refused: Set<Int>, _ fault: Fault, failsAlways: Bool = false) async
    -> (results: [LedgerFaultKind?], batches: [Int])
  {
    let batches = Mutexed<[Int]>([])
    let results = await resultsInHalves(numbers) { numbers in
      batches.change { $0.append(numbers.count) }
      if failsAlways || !refused.isDisjoint(with: numbers) { throw fault }
      return Array(numbers)
    }
    return (
      results.map { result in
        guard case .failure(let error) = result else { return nil }
        return LedgerFaultKind(of: error)
      }, batches.value
    )
  }

  @Test(
    "what fails for one row alone is that row's, whatever the error: the others have their results",
    arguments: [
      (LedgerFaultKind.refused, LedgerFaultKind.aboutRow), (.aboutRow, .aboutRow), (.busy, .rowLocked),
    ])
  func oneRow(kind: LedgerFaultKind, expected: LedgerFaultKind) async {
    let fault = Fault(faultKind: kind, mayBeAboutOneRow: true)
    #expect(await run([1, 2, 3, 4, 5], refusing: [4], fault).results == [nil, nil, nil, expected, nil])
    #expect(await run([4], refusing: [4], fault).results == [expected])
    #expect(await run([4, 1, 5], refusing: [4, 5], fault).results == [expected, nil, expected])
  }

  @Test("what fails without a row as well is no row's, and is not tried in halves")
  func general() async {
    for kind in LedgerFaultKind.allCases {
      let fault = Fault(faultKind: kind, mayBeAboutOneRow: true)
      let (results, batches) = await run([1, 2, 3, 4], refusing: [], fault, failsAlways: true)
      #expect(results == [kind, kind, kind, kind] && batches == [4, 0])
    }
    let unreachable = Fault(faultKind: .unreachable, mayBeAboutOneRow: false)
    let (results, batches) = await run([1, 2], refusing: [1], unreachable)
    #expect(results == [.unreachable, .unreachable] && batches == [2])
  }
}

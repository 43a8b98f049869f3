import ReviewStore
import Synchronization
import Testing

@Suite("A batch that is run again in halves")
struct HalvingTests {
  private struct Fault: LedgerFault {
    var faultKind: LedgerFaultKind
    var mayBeAboutOneRow: Bool
    var description: String { "\(faultKind)" }
  }

  /// Runs a batch of numbers of which some are refused.
  private func run(_ numbers: [Int], refusing refused: Set<Int>, _ fault: Fault, failsAlways: Bool = false) async
    -> (results: [LedgerFaultKind?], batches: [Int])
  {
    let batches = Mutex<[Int]>([])
    let results = await eachInHalves(numbers) { numbers in
      batches.withLock { $0.append(numbers.count) }
      if failsAlways || !refused.isDisjoint(with: numbers) { throw fault }
      return Array(numbers)
    }
    return (
      results.map { result in
        guard case .failure(let error) = result else { return nil }
        return LedgerFaultKind(of: error)
      }, batches.withLock { $0 }
    )
  }

  @Test(
    "what fails for one row alone is that row's, whatever the error: the others have their results",
    arguments: [
      (LedgerFaultKind.refused, LedgerFaultKind.aboutRow), (.aboutRow, .aboutRow), (.busy, .rowLocked),
    ])
  func oneRow(kind: LedgerFaultKind, expected: LedgerFaultKind) async {
    let fault = Fault(faultKind: kind, mayBeAboutOneRow: true)
    #expect(await run([1, 2, 3, 4], refusing: [4], fault).results == [nil, nil, nil, expected])
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

  @Test("a lock is waited for a few times at most, however many rows are locked; what is not tried counts as locked")
  func lockWaits() async {
    let fault = Fault(faultKind: .busy, mayBeAboutOneRow: true)
    let numbers = Array(0..<256)
    for step in [1, 3, 13, 100] {
      let locked = Set(stride(from: 5, to: 256, by: step))
      let (results, batches) = await run(numbers, refusing: locked, fault)
      #expect(results.count == 256 && batches.count { $0 == 0 } == 1)
      let succeeded = results.indices.filter { results[$0] == nil }
      #expect(locked.isDisjoint(with: succeeded))
      #expect(results.allSatisfy { $0 == nil || $0 == .rowLocked })
      // The empty batch, those that waited, and those that did not.
      #expect(batches.count <= 4 + 1 + 5)
    }
    let (results, _) = await run(numbers, refusing: [5], fault)
    #expect(results.count { $0 == nil } == 256 - 64)
  }

  @Test("what is refused at once is found, however many rows it is")
  func manyRefused() async {
    let refused = Set(stride(from: 0, to: 64, by: 3))
    let (results, _) = await run(
      Array(0..<64), refusing: refused, Fault(faultKind: .refused, mayBeAboutOneRow: true))
    for (number, result) in results.enumerated() { #expect(result == (refused.contains(number) ? .aboutRow : nil)) }
  }

  @Test("when nothing can be asked any more, the parts that are left have that error and are not tried")
  func unreachable() async {
    let batches = Mutex<[Int]>([])
    let results = await eachInHalves(Array(0..<8)) { numbers in
      let count = batches.withLock { batches in
        batches.append(numbers.count)
        return batches.count
      }
      if count == 3 { throw Fault(faultKind: .unreachable, mayBeAboutOneRow: false) }
      if numbers.count == 8 { throw Fault(faultKind: .refused, mayBeAboutOneRow: true) }
      return Array(numbers)
    }
    #expect(batches.withLock { $0 } == [8, 0, 4])
    #expect(results.count == 8)
    for result in results {
      guard case .failure(let error) = result else {
        Issue.record("a part that was not tried has a result")
        continue
      }
      #expect(LedgerFaultKind(of: error) == .unreachable)
    }
  }
}

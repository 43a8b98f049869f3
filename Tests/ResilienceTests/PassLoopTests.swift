import Resilience
import Synchronization
import Testing

@Suite("Pass loop", .timeLimit(.minutes(1)))
struct PassLoopTests {
  private struct Fault: Error, Equatable {
    var number: Int
  }

  /// Runs passes that a wake-up follows at once, until the last of them has cancelled the loop.
  /// - Returns: the failures that were reported.
  private func run(_ passes: [Bool]) async -> [Int] {
    let count = Mutex(0)
    let reported = Mutex<[Int]>([])
    let wakeup = Wakeup()
    await Task {
      await PassLoop(interval: .seconds(86_400), wakeup: wakeup).run {
        let number = count.withLock { count in
          defer { count += 1 }
          return count
        }
        wakeup.wake()
        if number == passes.count - 1 { withUnsafeCurrentTask { $0?.cancel() } }
        if !passes[number] { throw Fault(number: number) }
      } onFirstFailure: { error in
        reported.withLock { $0.append((error as? Fault)?.number ?? -1) }
      }
    }.value
    #expect(count.withLock { $0 } == passes.count)
    return reported.withLock { $0 }
  }

  @Test("of passes that fail in a row the first is reported, and passing goes on until the cancellation")
  func failures() async {
    #expect(await run([true, false, false, false, true, false, true]) == [1, 5])
    #expect(await run([true]) == [])
  }

  @Test("what fails because of the cancellation is not reported")
  func cancelled() async {
    #expect(await run([true, false]) == [])
  }

  @Test("a pass that fails is repeated soon, and one that says so is followed soon, however long the interval")
  func soon() async {
    let count = Mutex(0)
    await Task {
      await PassLoop(interval: .seconds(86_400)).runPaced(
        {
          let number = count.withLock { count in
            count += 1
            return count
          }
          if number == 4 { withUnsafeCurrentTask { $0?.cancel() } }
          if number == 2 { return .milliseconds(1) }
          throw Fault(number: number)
        }, onFirstFailure: { _ in })
    }.value
    #expect(count.withLock { $0 } == 4)
  }

  @Test("without a wake-up the next pass comes after the interval")
  func interval() async {
    let count = Mutex(0)
    await Task {
      await PassLoop(interval: .milliseconds(1)).run {
        let number = count.withLock { count in
          count += 1
          return count
        }
        if number == 3 { withUnsafeCurrentTask { $0?.cancel() } }
      } onFirstFailure: { _ in
      }
    }.value
    #expect(count.withLock { $0 } == 3)
  }
}

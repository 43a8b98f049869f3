import Resilience
import Synchronization
import Testing

@Suite("Pass loop", .timeLimit(.minutes(1)))
struct PeriodicLoopTests {
  private struct Fault: Error, CustomStringConvertible {
    var description: String
  }

  /// Runs passes that a wake-up follows at once, until the last of them has cancelled the loop.
  /// - Parameter passes: the reason why each fails, if it does.
  /// - Returns: the failures that were reported.
  private func run(_ passes: [String?]) async -> [String] {
    let count = Mutex(0)
    let reported = Mutex<[String]>([])
    let wakeup = Wakeup()
    await Task {
      await PeriodicLoop(interval: .seconds(86_400), wakeup: wakeup).run {
        let number = count.withLock { count in
          defer { count += 1 }
          return count
        }
        wakeup.wake()
        if number == passes.count - 1 { withUnsafeCurrentTask { $0?.cancel() } }
        if let reason = passes[number] { throw Fault(description: reason) }
      } onNewFailure: { error in
        reported.withLock { $0.append("\(error)") }
      }
    }.value
    #expect(count.withLock { $0 } == passes.count)
    return reported.withLock { $0 }
  }

  @Test("each reason is reported once, also one that follows another, and passing goes on until the cancellation")
  func failures() async {
    let passes = [nil, "refused", "refused", "password", "refused", nil, "refused", nil]
    #expect(await run(passes) == ["refused", "password"])
    #expect(await run([nil]) == [])
  }

  @Test("what fails because of the cancellation is not reported")
  func cancelled() async {
    #expect(await run([nil, "cancelled"]) == [])
  }

  @Test("a pass that fails is repeated soon, and one that says so is followed soon, however long the interval")
  func soon() async {
    let count = Mutex(0)
    await Task {
      await PeriodicLoop(interval: .seconds(86_400)).runPaced(
        {
          let number = count.withLock { count in
            count += 1
            return count
          }
          if number == 4 { withUnsafeCurrentTask { $0?.cancel() } }
          if number == 2 { return .milliseconds(1) }
          throw Fault(description: "\(number)")
        }, onNewFailure: { _ in })
    }.value
    #expect(count.withLock { $0 } == 4)
  }

  @Test("without a wake-up the next pass comes after the interval")
  func interval() async {
    let count = Mutex(0)
    await Task {
      await PeriodicLoop(interval: .milliseconds(1)).run {
        let number = count.withLock { count in
          count += 1
          return count
        }
        if number == 3 { withUnsafeCurrentTask { $0?.cancel() } }
      } onNewFailure: { _ in
      }
    }.value
    #expect(count.withLock { $0 } == 3)
  }
}

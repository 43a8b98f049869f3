import Testing

@testable import Dispatching

@Suite("The schedule of a drain")
struct DrainScheduleTests {
  private let start = ContinuousClock.now

  private func schedule(_ drain: Duration, worker: Duration) -> DrainSchedule {
    var policy = DispatchPolicy()
    policy.drainTimeout = drain
    policy.workerTimeout = worker
    return DrainSchedule(start: start, policy: policy)
  }

  @Test("with the defaults, preparations have 19 s, calls to the worker 29 s, and writes the whole 30 s")
  func defaults() {
    let schedule = schedule(.seconds(30), worker: .seconds(10))
    let expected: [(Duration, DrainSchedule.Phase)] = [
      (.milliseconds(-1), .running), (.zero, .finishing), (.milliseconds(18_999), .finishing),
      (.seconds(19), .postponing), (.milliseconds(28_999), .postponing), (.seconds(29), .givingUpCalls),
      (.milliseconds(29_999), .givingUpCalls), (.seconds(30), .over), (.seconds(300), .over),
    ]
    for (time, phase) in expected { #expect(schedule.phase(at: start + time) == phase, "\(time)") }
  }

  @Test(
    "whatever the settings, each phase comes, in order, and the next change leads to it",
    arguments: [1, 4, 10, 30, 600], [1, 10, 60])
  func order(drain: Int, worker: Int) {
    let schedule = schedule(.seconds(drain), worker: .seconds(worker))
    #expect(schedule.postponingAt >= start + .seconds(drain) / 2)
    #expect(schedule.postponingAt <= schedule.givingUpCallsAt && schedule.givingUpCallsAt < schedule.end)
    var now = start
    var phases: [DrainSchedule.Phase] = [schedule.phase(at: now)]
    while let next = schedule.nextChange(after: now) {
      now = next
      phases.append(schedule.phase(at: now))
    }
    #expect(phases == phases.sorted() && phases.last == .over)
    #expect(schedule.nextChange(after: schedule.end) == nil)
  }
}

/// The body's value, or nil if it has none in time; the body is cancelled then, and has to react to that.
package func within<Value: Sendable>(
  _ timeout: Duration, clock: any MonotonicClock = ContinuousClock(), _ body: @escaping @Sendable () async -> Value?
) async -> Value? {
  await withTaskGroup(of: Value?.self) { group in
    group.addTask(operation: body)
    group.addTask {
      try? await clock.sleep(until: clock.now + timeout, tolerance: nil)
      return nil
    }
    let first = await group.next() ?? nil
    group.cancelAll()
    return first
  }
}

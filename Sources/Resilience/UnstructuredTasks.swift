// Tasks that do not end with their creator. They run on the executor that their creator's task prefers: Swift gives this preference only to
// child tasks, so that a task which is begun otherwise leaves what runs a whole system on one executor, such as a simulation.
//
// Without a preference they are begun without one: a preference for nothing is looked up at each switch of the task.

extension Task where Failure == Never {
  /// Begins a task that goes on whatever happens to the caller.
  @discardableResult
  public static func onSameExecutor(_ operation: @escaping @Sendable () async -> Success) -> Task<Success, Never> {
    guard let executor = preferredExecutor() else { return Task(operation: operation) }
    return Task(executorPreference: executor, operation: operation)
  }

  /// As ``onSameExecutor(_:)``, on the cooperative pool, whatever executor the caller's task prefers: for work that computes.
  public static func onCooperativePool(_ operation: @escaping @Sendable () async -> Success) -> Task<Success, Never> {
    Task(operation: operation)
  }

  /// As ``onSameExecutor(_:)``, without the caller's task-local values: for work that belongs to no single caller.
  @discardableResult
  public static func detachedOnSameExecutor(
    _ operation: @escaping @Sendable () async -> Success
  ) -> Task<Success, Never> {
    guard let executor = preferredExecutor() else { return Task.detached(operation: operation) }
    return Task.detached(executorPreference: executor, operation: operation)
  }
}

/// Runs a body to its end, even if the caller is cancelled: the body does not see it.
public func uncancelled<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
  await Task.onSameExecutor(body).value
}

/// Runs a body to its end, even if the caller is cancelled: the body does not see it.
public func uncancelled<Value: Sendable>(
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  guard let executor = preferredExecutor() else { return try await Task(operation: body).value }
  return try await Task(executorPreference: executor, operation: body).value
}

/// The executor that the present task prefers; nil for the default one.
private func preferredExecutor() -> (any TaskExecutor)? {
  withUnsafeCurrentTask { $0?.unownedTaskExecutor?.asTaskExecutor() }
}

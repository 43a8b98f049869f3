/// Runs tasks on the thread of a ``ThreadExecutor``, next to its actors: for tasks that mostly wait for these, which then cost no change of
/// threads.
///
/// A type of its own, because a task that runs here is isolated to no actor. Run as the thread's actors are, it would be queued anew at each
/// call of a function that is isolated to none.
public final class ThreadTaskExecutor: TaskExecutor {
  private let thread: ThreadExecutor

  /// - Parameter thread: where the tasks run.
  public init(_ thread: ThreadExecutor) {
    self.thread = thread
  }

  /// Queues a job and wakes the thread if it waits.
  public func enqueue(_ job: consuming ExecutorJob) {
    thread.enqueue(job, preferring: asUnownedTaskExecutor())
  }
}

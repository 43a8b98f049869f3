internal import Glibc
internal import Settings

extension OpenFiles {
  /// Threads of the clients of Postgres and the broker, of the runtime, and of libraries that sometimes start one.
  static let threadCount = 14

  /// Starts so many threads and ends them again: event loops end the process if they cannot start theirs.
  static func checkThreads(_ role: String, count: Int) throws(SettingsError) {
    let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_mutex_lock(mutex)
    var threads: [pthread_t] = []
    var code: Int32 = 0
    while threads.count < count && code == 0 {
      var thread = pthread_t()
      code = pthread_create(
        &thread, nil,
        { context in
          guard let mutex = context?.assumingMemoryBound(to: pthread_mutex_t.self) else { return nil }
          pthread_mutex_lock(mutex)
          pthread_mutex_unlock(mutex)
          return nil
        }, mutex)
      if code == 0 { threads.append(thread) }
    }
    pthread_mutex_unlock(mutex)
    for thread in threads { pthread_join(thread, nil) }
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
    guard code == 0 else {
      throw SettingsError(faults: [
        "`\(role)` needs \(count) threads, and only \(threads.count) can be started (\(String(cString: strerror(code)))): raise "
          + "the limit of processes (TasksMax= of the unit, ulimit -u, --pids-limit of the container) or the memory"
      ])
    }
  }
}

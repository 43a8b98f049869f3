internal import CLinux
internal import DequeModule
internal import Glibc
internal import Synchronization

/// Writes lines to a file descriptor by a thread of its own, so that a log never holds up the work: not when a pipe is full
/// because its reader is stopped, not when the disk is full, not when the reader has gone.
///
/// Lines wait in memory, up to a bound; those that find no room, or cannot be written, are dropped and counted, and the count is
/// written once lines flow again. Each line is one write(2), so that lines of several processes on one pipe do not mix (up to
/// `PIPE_BUF`, 4096 bytes).
package final class LogWriter: Sendable {
  private struct State {
    var lines: Deque<String> = []
    var byteCount = 0
    var isWriting = false
    var hasThread = false
    var isAsleep = false
    /// Whether the last write has failed: until one succeeds, the dropped lines are not worth a line.
    var isFailing = false
    var dropped = 0
    var reported = 0
    var describeDropped: @Sendable (Int) -> String = { "\($0) log lines were dropped\n" }
  }

  /// What is written in one write(2).
  private struct Item {
    var text: String
    /// Dropped lines that it reports; 0 for a line of the log.
    var report = 0
  }

  /// Of this process.
  package static let standardError = LogWriter(descriptor: STDERR_FILENO)

  /// What may wait: minutes of an ordinary log.
  private static let byteCountMax = 4 << 20
  /// Between looks for lines, if no descriptor could be opened to be woken by.
  private static let blindWait: Int32 = 50

  private let descriptor: Int32
  private let byteCountMax: Int
  private let wakeDescriptor: Int32
  private let state = Mutex(State())

  /// - Parameters:
  ///   - descriptor: stays the caller's.
  ///   - byteCountMax: what may wait in memory.
  package init(descriptor: Int32, byteCountMax: Int = LogWriter.byteCountMax) {
    self.descriptor = descriptor
    self.byteCountMax = byteCountMax
    wakeDescriptor = baton_eventfd()
  }

  /// The text of the line that reports dropped ones, with its newline.
  package func describeDropped(by describe: @escaping @Sendable (Int) -> String) {
    state.withLock { $0.describeDropped = describe }
  }

  /// Lines that were dropped since the start.
  package var droppedCount: Int { state.withLock { $0.dropped } }

  /// Takes a line with its newline. Returns at once.
  package func write(_ line: String) {
    let mustWake = state.withLock { state in
      guard state.byteCount + line.utf8.count <= byteCountMax else {
        state.dropped += 1
        return false
      }
      state.lines.append(line)
      state.byteCount += line.utf8.count
      // If no thread can be started, the next line tries again.
      if !state.hasThread { state.hasThread = startThread() }
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    if mustWake { wake() }
  }

  /// Waits until every line was written that was taken before, but no longer than the bound.
  package func flush(within bound: Duration) {
    let deadline = ContinuousClock.now + bound
    while state.withLock({ !$0.lines.isEmpty || $0.isWriting }), .now < deadline { usleep(1_000) }
  }

  // MARK: The thread

  private func wake() {
    var one: UInt64 = 1
    _ = Glibc.write(wakeDescriptor, &one, MemoryLayout<UInt64>.size)
  }

  /// The thread keeps the writer, and both stay to the end of the process.
  private func startThread() -> Bool {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<LogWriter>.fromOpaque(context).takeRetainedValue().run()
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      return false
    }
    pthread_detach(thread)
    pthread_setname_np(thread, "log")
    return true
  }

  private func run() -> Never {
    while true {
      while let item = next() { finish(item, wasWritten: put(item.text)) }
      var wait = pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0)
      if poll(&wait, 1, wakeDescriptor < 0 ? Self.blindWait : -1) > 0 {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, MemoryLayout<UInt64>.size)
      }
    }
  }

  /// The next line to write: the report on dropped ones as soon as lines flow and there is room again.
  private func next() -> Item? {
    state.withLock { state in
      let unreported = state.dropped - state.reported
      if unreported > 0, !state.isFailing, state.byteCount < byteCountMax / 2 {
        state.reported = state.dropped
        state.isWriting = true
        return Item(text: state.describeDropped(unreported), report: unreported)
      }
      guard let line = state.lines.popFirst() else {
        state.isAsleep = true
        return nil
      }
      state.byteCount -= line.utf8.count
      state.isWriting = true
      return Item(text: line)
    }
  }

  private func finish(_ item: Item, wasWritten: Bool) {
    state.withLock { state in
      state.isWriting = false
      state.isFailing = !wasWritten
      guard !wasWritten else { return }
      if item.report > 0 { state.reported -= item.report } else { state.dropped += 1 }
    }
  }

  /// Writes a line, again only if a signal cut it short, or if a shared pipe or terminal does not block.
  private func put(_ line: String) -> Bool {
    var rest = Array(line.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&wait, 1, 1_000)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }
}

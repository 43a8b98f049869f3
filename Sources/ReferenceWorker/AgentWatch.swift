internal import FoundationEssentials
internal import Glibc
internal import Resilience
internal import SystemPackage

/// Follows an agent to its end, also one that an earlier worker started: reads what it prints, and ends it on request. When it is
/// cancelled, it leaves the agent alone, and the next worker continues from the same position.
struct AgentWatch: Sendable {
  let folder: AgentFolder
  /// An environment variable that only this run's processes have.
  let mark: String
  /// From TERM to KILL.
  let killGrace: Duration
  /// The most that it may print, in bytes of standard output and of standard error.
  let outputByteCountMax: Int64
  let redact: RunRedactor
  /// Is given lines of standard output in order, with the offset up to which the output has been read with them, and returns when
  /// they are safe. The agent does not wait for it.
  let onLines: @Sendable ([AgentLine], Int64) async -> Void
  /// It has printed more than it may: it is to be stopped.
  let onOverflow: @Sendable () async -> Void

  /// How much of the end of standard error is kept, in bytes.
  private static let lastWordsByteCount = 1_024
  /// Bytes of one read, and so of one batch of lines, about.
  private static let readByteCount = 64 * 1_024
  private static let pauses: ClosedRange<Duration> = .milliseconds(10) ... .milliseconds(100)
  /// How often the output of an agent that has ended is tried again if it cannot be read: a process may have no descriptor left for a moment.
  private static let readsAfterEndMax = 20

  /// - Parameters:
  ///   - leader: nil if it could not even be seen.
  ///   - offset: where in its output the next line begins.
  ///   - stop: wakes to end the process group: TERM, and KILL after the grace.
  /// - Returns: nil if it has ended without an exit status, or goes on and the task was cancelled.
  func follow(_ leader: ProcessIdentity?, from offset: Int64, stop: Wakeup) async -> AgentExit? {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        guard (try? await stop.wait(until: nil)) != nil else { return }
        leader?.signalGroup(SIGTERM, mark: mark)
        guard (try? await Task.sleep(for: killGrace)) != nil else { return }
        leader?.signalGroup(SIGKILL, mark: mark)
      }
      let fault = await readToEnd(leader, from: offset)
      group.cancelAll()
      return fault.map { .unread($0) } ?? exit()
    }
  }

  /// What it left behind in its group when it ended is killed before the rest of its output is read.
  /// - Returns: why not all of its output has been read.
  private func readToEnd(_ leader: ProcessIdentity?, from offset: Int64) async -> String? {
    var tail = OutputTail(path: folder.outputPath, offset: offset)
    var pause = Self.pauses.lowerBound
    var hasOverflowed = false
    var readsAfterEnd = 0
    while !Task.isCancelled {
      let hasEnded = !(leader?.isAlive ?? false)
      if hasEnded { leader?.signalGroup(SIGKILL, mark: mark) }
      if !hasOverflowed, hasPrintedTooMuch {
        hasOverflowed = true
        await onOverflow()
        // No grace: it would go on filling the disk.
        leader?.signalGroup(SIGKILL, mark: mark)
      }
      var hasRead = false
      while !Task.isCancelled, !hasPrintedTooMuch, let lines = tail.read(Self.readByteCount) {
        hasRead = true
        if !lines.isEmpty { await onLines(lines.map { AgentLine($0).redacted(by: redact) }, tail.lineOffset) }
      }
      if hasEnded {
        readsAfterEnd += 1
        if tail.fault == nil || readsAfterEnd > Self.readsAfterEndMax { break }
      }
      pause = hasRead ? Self.pauses.lowerBound : min(pause * 2, Self.pauses.upperBound)
      try? await Task.sleep(for: pause)
    }
    if !Task.isCancelled, let line = tail.finish() {
      await onLines([AgentLine(line).redacted(by: redact)], tail.readOffset)
    }
    return Task.isCancelled || hasOverflowed ? nil : tail.fault
  }

  /// By what is in the files, not by what has been read: reading may be slower than printing.
  private var hasPrintedTooMuch: Bool { max(size(folder.outputPath), size(folder.errorPath)) > outputByteCountMax }

  private func size(_ path: String) -> Int64 {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : 0
  }

  private func exit() -> AgentExit? {
    guard let status = folder.exitStatus() else { return nil }
    // The shell's word for an end by a signal.
    let signals: ClosedRange<Int32> = 129...192
    return signals.contains(status)
      ? .killed(signal: status - 128, lastWords: lastWords()) : .exited(status: status, lastWords: lastWords())
  }

  /// The end of standard error.
  func lastWords() -> String {
    guard let file = try? FileDescriptor.open(FilePath(folder.errorPath), .readOnly, options: .closeOnExec) else {
      return ""
    }
    defer { try? file.close() }
    // Twice as much, so that a token across the cut is still whole when it is looked for.
    var tail = [UInt8](repeating: 0, count: 2 * Self.lastWordsByteCount)
    let start = max(0, size(folder.errorPath) - Int64(tail.count))
    let count = tail.withUnsafeMutableBytes { (try? file.read(fromAbsoluteOffset: start, into: $0)) ?? 0 }
    let text = redact(String(decoding: tail.prefix(count), as: UTF8.self))
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    return String(lines.joined(separator: " | ").suffix(Self.lastWordsByteCount))
  }
}

/// Reads a file that grows, line by line.
private struct OutputTail {
  private let path: String
  private var file: FileDescriptorBox?
  /// Why the latest read has failed; nil if it has not.
  private(set) var fault: String?
  private(set) var readOffset: Int64
  /// Where the first line begins that has not been given out.
  private(set) var lineOffset: Int64
  private var splitter = LineSplitter()

  init(path: String, offset: Int64) {
    self.path = path
    readOffset = offset
    lineOffset = offset
  }

  /// - Returns: the lines that were completed; nil at the end of the file, and if it cannot be read now.
  mutating func read(_ byteCount: Int) -> [String]? {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let count: Int
    do {
      let file = try openFile()
      let offset = readOffset
      count = try bytes.withUnsafeMutableBytes { try file.descriptor.read(fromAbsoluteOffset: offset, into: $0) }
      fault = nil
    } catch {
      fault = "\(error)"
      return nil
    }
    guard count > 0 else { return nil }
    let part = bytes.prefix(count)
    if let last = part.lastIndex(of: UInt8(ascii: "\n")) { lineOffset = readOffset + Int64(last) + 1 }
    readOffset += Int64(count)
    return splitter.append(part)
  }

  private mutating func openFile() throws -> FileDescriptorBox {
    if let file { return file }
    let opened = FileDescriptorBox(try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec))
    file = opened
    return opened
  }

  /// The last line, if the output did not end with a line feed.
  mutating func finish() -> String? { splitter.finish() }
}

/// Closes a file with its last user.
private final class FileDescriptorBox: Sendable {
  let descriptor: FileDescriptor
  init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }
  deinit { try? descriptor.close() }
}

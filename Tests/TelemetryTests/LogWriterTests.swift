import Foundation
import Support
import Telemetry
import Testing

@Suite("Log lines on their way out")
struct LogWriterTests {
  /// The two ends of a pipe.
  private struct Ends {
    let reader: Int32
    let writer: Int32

    init() throws {
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      (reader, writer) = (ends[0], ends[1])
    }

    /// What can be read now.
    func read() -> String {
      var bytes = [UInt8](repeating: 0, count: 1 << 20)
      let count = Foundation.read(reader, &bytes, bytes.count)
      return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
  }

  @Test("lines come out whole and in order")
  func order() throws {
    let ends = try Ends()
    let writer = LogWriter(descriptor: ends.writer)
    for number in 0..<500 { writer.write("line \(number)\n") }
    writer.flush(within: .seconds(60))
    #expect(ends.read() == (0..<500).map { "line \($0)\n" }.joined())
    #expect(writer.droppedCount == 0)
  }

  @Test("a reader that is asleep holds up no caller; what finds no room is counted and reported when lines flow again")
  func fullPipe() async throws {
    let ends = try Ends()
    let writer = LogWriter(descriptor: ends.writer, byteCountMax: 100_000)
    writer.describeDropped { "dropped \($0)\n" }
    let line = String(repeating: "x", count: 999) + "\n"
    // A pipe holds 64 KiB, the memory 100: most of a megabyte has no place.
    for _ in 0..<1_000 { writer.write(line) }
    let dropped = writer.droppedCount
    #expect(dropped > 700 && dropped < 1_000)
    var text = ""
    while !text.contains("dropped ") { text += ends.read() }
    #expect(text.contains("dropped \(dropped)\n"))
    #expect(text.split(separator: "\n").count { $0.hasPrefix("x") && $0.count == 999 } > 50)
  }

  @Test("a reader that has gone ends nothing, and the lines that it did not get are counted")
  func closedReader() throws {
    signal(SIGPIPE, SIG_IGN)
    let ends = try Ends()
    let writer = LogWriter(descriptor: ends.writer)
    close(ends.reader)
    for _ in 0..<3 { writer.write("line\n") }
    writer.flush(within: .seconds(60))
    #expect(writer.droppedCount == 3)
  }

  @Test("a full disk ends nothing")
  func fullDisk() throws {
    let full = open("/dev/full", O_WRONLY)
    try #require(full >= 0)
    defer { close(full) }
    let writer = LogWriter(descriptor: full)
    for _ in 0..<3 { writer.write("line\n") }
    writer.flush(within: .seconds(60))
    #expect(writer.droppedCount == 3)
  }

  @Test("the end of the process waits for a reader that is asleep only as long as the bound allows")
  func boundedFlush() throws {
    let ends = try Ends()
    let writer = LogWriter(descriptor: ends.writer)
    writer.write(String(repeating: "x", count: 1 << 20))
    writer.flush(within: .milliseconds(50))
    #expect(ends.read().first == "x", "what a pipe holds")
  }
}

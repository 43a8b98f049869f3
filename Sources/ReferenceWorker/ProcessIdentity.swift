internal import FoundationEssentials
internal import Glibc

/// A process that leads a session of its own, distinguished from any later one with the same number by its start time and
/// the boot of the machine.
struct ProcessIdentity: Sendable, Equatable {
  let id: pid_t
  /// Ticks since the machine's boot, field 22 of `/proc/<id>/stat`.
  let startTicks: UInt64
  let bootID: String

  /// - Parameters:
  ///   - stat: a line of `/proc/<id>/stat`.
  init?(stat: String, bootID: String) {
    guard let stat = ProcessStat(stat) else { return nil }
    id = stat.id
    startTicks = stat.startTicks
    self.bootID = bootID
  }

  /// The process with this number now; nil if there is none.
  init?(_ id: pid_t) {
    guard let stat = ProcessStat.read(id) else { return nil }
    self.id = id
    startTicks = stat.startTicks
    bootID = Self.bootID
  }

  /// Changes with every boot of the machine.
  static let bootID: String =
    FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id")
    .map { String(decoding: $0, as: UTF8.self).trimmingNewlines } ?? ""

  /// Whether it runs. One that has exited and was not reaped yet does not.
  var isAlive: Bool {
    guard bootID == Self.bootID, let stat = ProcessStat.read(id) else { return false }
    return stat.startTicks == startTicks && !stat.isDead
  }

  /// Sends a signal to its process group.
  ///
  /// As long as the leader is there, reaped or not, the group's number is its own. Once it is gone, the number may be another's:
  /// then only those of its session are signalled that carry the mark in their environment.
  /// - Parameter mark: `NAME=value`, as the leader was started with.
  func signalGroup(_ signal: Int32, mark: String) {
    guard bootID == Self.bootID else { return }
    if let stat = ProcessStat.read(id) {
      // A number is not given out again while a group or session of that number exists: another's means that ours is gone.
      if stat.startTicks == startTicks { kill(-id, signal) }
      return
    }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else { return }
    for other in names.compactMap({ pid_t($0) }) {
      guard let stat = ProcessStat.read(other), stat.session == id, Self.environment(of: other).contains(mark) else {
        continue
      }
      kill(other, signal)
    }
  }

  private static func environment(of id: pid_t) -> [String] {
    FileManager.default.contents(atPath: "/proc/\(id)/environ")
      .map { $0.split(separator: 0).map { String(decoding: $0, as: UTF8.self) } } ?? []
  }
}

/// What `/proc/<id>/stat` says, as far as it matters here.
struct ProcessStat: Sendable, Equatable {
  var id: pid_t
  var state: Character
  var parent: pid_t
  var session: pid_t
  var startTicks: UInt64

  var isDead: Bool { state == "Z" || state == "X" }

  /// nil if there is no such process.
  static func read(_ id: pid_t) -> ProcessStat? {
    FileManager.default.contents(atPath: "/proc/\(id)/stat").flatMap {
      ProcessStat(String(decoding: $0, as: UTF8.self))
    }
  }

  /// The name, in parentheses, may hold anything, blanks and parentheses too: the fields to read come after the last one.
  init?(_ line: String) {
    guard let opening = line.firstIndex(of: "("), let closing = line.lastIndex(of: ")"),
      let id = pid_t(line[..<opening].filter { $0 != " " })
    else { return nil }
    let fields = line[line.index(after: closing)...].split(whereSeparator: \.isWhitespace)
    guard fields.count > 19, let state = fields[0].first, let parent = pid_t(fields[1]), let session = pid_t(fields[3]),
      let ticks = UInt64(fields[19])
    else { return nil }
    self.id = id
    self.state = state
    self.parent = parent
    self.session = session
    startTicks = ticks
  }
}

extension String {
  fileprivate var trimmingNewlines: String { String(prefix { !$0.isNewline }) }
}

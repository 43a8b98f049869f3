internal import Glibc

/// What a process uses, as Prometheus' own clients show it.
package struct ProcessUsage: Sendable {
  /// User and system time.
  package var cpuSeconds: Double
  package var residentBytes: Int?
  package var openFiles: Int?
  /// The soft limit.
  package var openFileLimit: Int?

  /// What this process uses now. What the system does not say is nil.
  package static func current() -> ProcessUsage {
    var usage = rusage()
    _ = getrusage(RUSAGE_SELF.rawValue, &usage)
    // Resident pages are the second number.
    let pages = text(of: "/proc/self/statm")?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return ProcessUsage(
      cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      residentBytes: pages.map { $0 * sysconf(CInt(_SC_PAGESIZE)) }, openFiles: countOpenFiles(),
      openFileLimit: fileLimit())
  }

  /// When this process started, in Unix time: to within a second, as the boot's time is.
  package static func startTime() -> Double? {
    // The name, in parentheses, may hold blanks and parentheses: the start is the 20th field after the last one.
    guard let stat = text(of: "/proc/self/stat"), let end = stat.lastIndex(of: ")"),
      let boot = text(of: "/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
      let bootTime = Double(boot.dropFirst("btime ".count))
    else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
    return bootTime + ticks / Double(max(sysconf(CInt(_SC_CLK_TCK)), 1))
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static func countOpenFiles() -> Int? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    // Without `.`, `..` and the folder itself.
    return max(count - 3, 0)
  }

  private static func fileLimit() -> Int? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
    return Int(clamping: limit.rlim_cur)
  }

  /// A file of `/proc`, at most a MiB of it.
  private static func text(of path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 * 1_024)
    while bytes.count < 1 << 20 {
      let count = read(file, &part, part.count)
      guard count > 0 else { break }
      bytes += part[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension BatonMetrics {
  /// Shows with every scrape what this process is, and what it uses.
  /// - Parameters:
  ///   - registry: collects them.
  ///   - roles: a series of `baton_build_info` for each.
  ///   - version: of the program.
  package func observeProcess(_ registry: PrometheusRegistry, roles: [String], version: String) {
    for role in roles { buildInfo.set([version, role]) }
    if let start = ProcessUsage.startTime() { processStartTime.set(start) }
    let metrics = self
    registry.onCollect {
      let usage = ProcessUsage.current()
      metrics.processCPUSeconds.set(usage.cpuSeconds)
      if let bytes = usage.residentBytes { metrics.processResidentBytes.set(bytes) }
      if let count = usage.openFiles { metrics.processOpenFiles.set(count) }
      if let limit = usage.openFileLimit { metrics.processOpenFileLimit.set(limit) }
    }
  }
}

internal import Glibc

/// Connects to whichever address of a host accepts first, so that a silent one among them hides none (RFC 8305, "happy eyeballs").
///
/// The addresses begin in the system's order, each a moment after the one before, or at once when that one has failed. Each has the whole
/// time to answer. Blocks the thread.
struct AddressRace {
  /// The winner.
  struct Winner {
    /// The connected socket, non-blocking; the caller's to close.
    let socket: Int32
    /// The address as a text.
    let address: String
  }

  private struct Entry {
    let text: String
    let family: Int32
    let address: sockaddr_storage
    let length: socklen_t
  }

  private struct Attempt {
    let socket: Int32
    let address: String
    let deadline: ContinuousClock.Instant
  }

  /// How much later the next address begins, as RFC 8305 recommends.
  private static let stagger = Duration.milliseconds(250)

  private let timeout: Duration
  private var entries: ArraySlice<Entry>
  private var attempts: [Attempt] = []
  private var faults: [String] = []
  private var nextBeginning = ContinuousClock.now

  /// - Parameters:
  ///   - hosts: names or addresses of the same server.
  ///   - timeout: of each address.
  /// - Returns: the first that has accepted, or the fault of every address.
  static func run(hosts: [String], port: Int, timeout: Duration) -> Result<Winner, Fault> {
    var entries: [Entry] = []
    for host in hosts {
      switch lookUp(host, port) {
      case .failure(let fault): return .failure(fault)
      case .success(let found): entries += found
      }
    }
    var race = AddressRace(timeout: timeout, entries: entries[...])
    return race.run()
  }

  /// Why no address has accepted.
  struct Fault: Error {
    let text: String
  }

  private init(timeout: Duration, entries: ArraySlice<Entry>) {
    (self.timeout, self.entries) = (timeout, entries)
  }

  private mutating func run() -> Result<Winner, Fault> {
    defer { for attempt in attempts { close(attempt.socket) } }
    while true {
      beginDue()
      guard !attempts.isEmpty else {
        if entries.isEmpty { return .failure(Fault(text: faults.joined(separator: "; "))) }
        continue
      }
      if let winner = wait() { return .success(winner) }
    }
  }

  private mutating func beginDue() {
    while let entry = entries.first, attempts.isEmpty || nextBeginning <= .now {
      entries.removeFirst()
      nextBeginning = .now + Self.stagger
      begin(entry)
    }
  }

  private mutating func begin(_ entry: Entry) {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(entry.family, type, 0)
    guard descriptor >= 0 else { return faults.append("\(entry.text): \(Self.text(of: errno))") }
    var one: Int32 = 1
    // If this fails, only speed is lost.
    _ = setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    let status = withUnsafePointer(to: entry.address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, entry.length) }
    }
    guard status == 0 || errno == EINPROGRESS else {
      faults.append("\(entry.text): \(Self.text(of: errno))")
      close(descriptor)
      return
    }
    attempts.append(Attempt(socket: descriptor, address: entry.text, deadline: .now + timeout))
  }

  /// Waits until an attempt has a result, or something else is due.
  private mutating func wait() -> Winner? {
    var list = attempts.map { pollfd(fd: $0.socket, events: Int16(POLLOUT), revents: 0) }
    let ends = attempts.map(\.deadline) + (entries.isEmpty ? [] : [nextBeginning])
    let left = ends.min().map { ($0 - .now) / .milliseconds(1) } ?? 0
    let ready = poll(&list, nfds_t(list.count), Int32(min(max(left, 0).rounded(.up), 60_000)))
    if ready < 0 && errno != EINTR { usleep(10_000) }
    let waiting = attempts
    attempts = []
    var winner: Winner?
    for (attempt, entry) in zip(waiting, list) {
      if winner == nil, entry.revents != 0 {
        let code = Self.result(of: attempt.socket)
        if code == 0 {
          winner = Winner(socket: attempt.socket, address: attempt.address)
          continue
        }
        faults.append("\(attempt.address): \(Self.text(of: code))")
      } else if winner == nil, attempt.deadline > .now {
        attempts.append(attempt)
        continue
      } else {
        faults.append("\(attempt.address): no answer within \(timeout)")
      }
      close(attempt.socket)
    }
    return winner
  }

  private static func result(of socket: Int32) -> Int32 {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
  }

  private static func text(of code: Int32) -> String { String(cString: strerror(code)) }

  private static func lookUp(_ host: String, _ port: Int) -> Result<[Entry], Fault> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else {
      let reason = status == EAI_SYSTEM ? text(of: errno) : String(cString: gai_strerror(status))
      return .failure(Fault(text: "the host's name cannot be looked up: \(reason)"))
    }
    defer { freeaddrinfo(list) }
    var entries: [Entry] = []
    var next = list
    while let found = next?.pointee {
      if let entry = entry(found), !entries.contains(where: { $0.text == entry.text }) { entries.append(entry) }
      next = found.ai_next
    }
    return entries.isEmpty ? .failure(Fault(text: "the host has no address")) : .success(entries)
  }

  private static func entry(_ found: addrinfo) -> Entry? {
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard let address = found.ai_addr, Int(found.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size,
      getnameinfo(address, found.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0
    else { return nil }
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(found.ai_addrlen)))
    }
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Entry(text: text, family: found.ai_family, address: storage, length: found.ai_addrlen)
  }
}

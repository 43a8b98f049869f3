#if canImport(Glibc)
  import Glibc
#endif

/// A port that takes no further connection: its backlog is full, and no process accepts.
struct FullListener {
  let port: Int
  private let descriptors: [Int32]

  struct Failure: Error {}

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 0) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isListening else { throw Failure() }
    // The first is accepted by the kernel, the others fill what it keeps beyond the backlog.
    var descriptors = [listener]
    for _ in 0..<4 {
      let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      _ = withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(filler, $0, length) }
      }
      descriptors.append(filler)
    }
    self.descriptors = descriptors
    port = Int(UInt16(bigEndian: address.sin_port))
  }

  func close() { for descriptor in descriptors { _ = Glibc.close(descriptor) } }
}

internal import Glibc

/// An address whose backlog is full: the kernel drops what asks for another connection, as a firewall would.
package final class SilentAddress: Sendable {
  package let port: Int
  private let descriptors: [Int32]

  package init(host: String = "127.0.0.1", port: Int = 0) throws {
    let (server, port) = try listenOn(host, port, backlog: 0)
    var descriptors = [server]
    var address = try ipv4(host, port)
    // Those that fit are accepted by the kernel; once one is not answered, none is any more.
    var hasFilled = false
    while !hasFilled && descriptors.count < 64 {
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      descriptors.append(client)
      _ = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      var entry = pollfd(fd: client, events: Int16(POLLOUT), revents: 0)
      hasFilled = poll(&entry, 1, 200) == 0
    }
    self.port = port
    self.descriptors = descriptors
    guard hasFilled else { throw SocketFault(call: "connect", code: 0) }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}

/// An address that accepts connections and sends nothing.
package final class ListeningAddress: Sendable {
  package let port: Int
  private let descriptor: Int32

  package init(host: String = "127.0.0.1", port: Int = 0) throws {
    (descriptor, self.port) = try listenOn(host, port, backlog: 16)
  }

  deinit { close(descriptor) }
}

/// A call about a socket failed.
package struct SocketFault: Error {
  let call: String
  let code: Int32
}

private func ipv4(_ host: String, _ port: Int) throws -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = in_port_t(port).bigEndian
  guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw SocketFault(call: "inet_pton", code: 0) }
  return address
}

private func listenOn(_ host: String, _ port: Int, backlog: Int32) throws -> (descriptor: Int32, port: Int) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = try ipv4(host, port)
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
      bind(descriptor, pointer, length) == 0 && listen(descriptor, backlog) == 0
        && getsockname(descriptor, pointer, &length) == 0
    }
  }
  guard isBound else {
    let code = errno
    close(descriptor)
    throw SocketFault(call: "bind", code: code)
  }
  return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
}

internal import Certificates
internal import Glibc
internal import PollExecutor

/// A thread for the calls that block: name look-up, what libpq reads from files, and `PQcancel`, which opens a connection and
/// waits until the server has closed it. Without a call there is no thread.
actor BlockingCalls {
  private nonisolated let executor = ThreadExecutor(name: "postgres-block")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  func send(_ request: PostgresCancelRequest) -> String? { request.send() }

  func complete(_ parameters: [(keyword: String, value: String)]) -> Result<[String: String], LibraryMessage> {
    completeParameters(parameters)
  }

  /// Why TLS with a server fails; nil if a look at its certificate finds nothing.
  func tlsFault(_ look: TLSLook) -> String? { look.fault() }

  /// The addresses of a host name in the system's order, each once.
  func lookUp(_ name: String) -> Result<[String], LibraryMessage> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(name, nil, &hints, &list)
    guard status == 0 else {
      let reason = status == EAI_SYSTEM ? strerror(errno) : UnsafeMutablePointer(mutating: gai_strerror(status))
      return .failure(LibraryMessage(message: reason.map { String(cString: $0) } ?? "error \(status)"))
    }
    defer { freeaddrinfo(list) }
    var addresses: [String] = []
    var next = list
    while let entry = next {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      if getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      {
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if !addresses.contains(address) { addresses.append(address) }
      }
      next = entry.pointee.ai_next
    }
    return addresses.isEmpty ? .failure(LibraryMessage(message: "it has no address")) : .success(addresses)
  }
}

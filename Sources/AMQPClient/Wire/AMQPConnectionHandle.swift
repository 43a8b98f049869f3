internal import CRabbitMQ
internal import Certificates
internal import Glibc

/// librabbitmq's connection, and the only code that touches its pointer. Not thread-safe: it belongs to one actor.
///
/// After the login nothing here waits for the broker: methods are written, and every frame is read by `next()`. The
/// library's own RPC functions are not used, because they queue frames behind poll(2)'s back and block.
struct AMQPConnectionHandle: ~Copyable {
  let state: OpaquePointer
  let arguments = ArgumentPool()
  var exchange = LastString()
  var routingKey = LastString()
  var contentType = LastString()
  var type = LastString()

  /// - Throws: if memory is exhausted.
  init() throws(AMQPError) {
    guard let state = amqp_new_connection() else { throw .lost("make a connection", "out of memory") }
    self.state = state
  }

  deinit {
    amqp_destroy_connection(state)
  }

  /// The socket, or -1 once the library has closed it.
  var descriptor: Int32 { amqp_get_sockfd(state) }

  /// Whether frames are in memory, which poll(2) cannot see.
  var hasBufferedInput: Bool { amqp_frames_enqueued(state) != 0 || amqp_data_in_buffer(state) != 0 }

  /// Has the kernel collect what is written into full packets (TCP_CORK) until this is turned off; then all of it
  /// is sent at once.
  ///
  /// A message is three writes. Ending it also sends a body whose last frame is full, which librabbitmq leaves behind
  /// (MSG_MORE).
  func holdBack(_ isOn: Bool) {
    var value: Int32 = isOn ? 1 : 0
    // A refusal costs speed, no more.
    _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Whether the socket takes more bytes at once.
  var isWritable: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLOUT) != 0
  }

  /// Connects to whichever address of the host accepts first, agrees on TLS and logs in. Blocks the thread for up to the connect timeout
  /// for each of the three, plus the name look-up.
  mutating func open(_ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration) throws(AMQPError) {
    let operation = "connect to \(endpoint)"
    var timeout = timeval(configuration.connectTimeout)
    // The library would give all addresses of a name one time together, and the first silent one all of it.
    let race = AddressRace.run(hosts: [endpoint.host], port: endpoint.port, timeout: configuration.connectTimeout)
    switch race {
    case .failure(let fault): throw .lost(operation, fault.text)
    case .success(let winner):
      switch endpoint.scheme {
      case .amqp:
        guard let socket = amqp_tcp_socket_new(state) else {
          close(winner.socket)
          throw .lost(operation, "out of memory")
        }
        amqp_tcp_socket_set_sockfd(socket, winner.socket)
      case .amqps:
        // The library makes a TLS socket only by connecting itself.
        close(winner.socket)
        try openTLS(endpoint, winner.address, configuration, &timeout, operation)
      }
      amqp_set_handshake_timeout(state, &timeout)
      try logIn(endpoint, winner.address, configuration, operation)
    }
  }

  /// An error of connecting, with what a look at the server's certificate finds, of an endpoint with TLS.
  private static func connectFailure(
    _ endpoint: AMQPEndpoint, _ address: String, _ configuration: AMQPConfiguration, _ operation: String,
    _ status: Int32, _ moment: String
  ) -> AMQPError {
    let error = failure(operation, status, moment)
    guard endpoint.scheme == .amqps else { return error }
    let tls = configuration.tls
    var look = TLSLook(
      address: address, port: endpoint.port, name: endpoint.certificateName,
      authorities: tls.verifiesPeer ? [tls.authorityFile] : [],
      authoritySetting: "BATON_CA_FILE (or cacertfile in the URL)")
    look.certificateSetting = "BATON_AMQP_CERT_FILE and BATON_AMQP_KEY_FILE (or certfile and keyfile in the URL)"
    look.ownCertificate = tls.certificateFile.map { .init(file: $0, keyFile: tls.keyFile ?? $0) }
    look.timeout = configuration.connectTimeout
    guard let fault = look.fault() else { return error }
    return .lost(operation, "TLS: \(fault)")
  }

  private func openTLS(
    _ endpoint: AMQPEndpoint, _ address: String, _ configuration: AMQPConfiguration, _ timeout: inout timeval,
    _ operation: String
  ) throws(AMQPError) {
    let tls = configuration.tls
    guard let socket = try makeTLSSocket(tls) else { throw .lost(operation, "out of memory") }
    let isAddress: Int32 = IPAddress.isOne(endpoint.certificateName) ? 1 : 0
    let verifies: Int32 = tls.verifiesPeer && tls.verifiesHostName ? 1 : 0
    let status = endpoint.certificateName.withCString { name in
      defer { baton_amqp_ssl_forget(socket) }
      guard baton_amqp_ssl_expect(socket, name, isAddress, verifies) == 1 else {
        return AMQP_STATUS_NO_MEMORY.rawValue
      }
      return amqp_socket_open_noblock(socket, address, Int32(endpoint.port), &timeout)
    }
    guard status == AMQP_STATUS_OK.rawValue else {
      throw Self.connectFailure(endpoint, address, configuration, operation, status, "connecting")
    }
  }

  private func makeTLSSocket(_ tls: AMQPTLS) throws(AMQPError) -> OpaquePointer? {
    _ = Self.openSSLInitialisesItself
    guard let socket = amqp_ssl_socket_new(state) else { return nil }
    amqp_ssl_socket_set_verify_peer(socket, tls.verifiesPeer ? 1 : 0)
    // OpenSSL does that: the library would compare with the address that it connects to.
    amqp_ssl_socket_set_verify_hostname(socket, 0)
    amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
    if tls.verifiesPeer, amqp_ssl_socket_set_cacert(socket, tls.authorityFile) != AMQP_STATUS_OK.rawValue {
      throw Self.fileFault("the authority file '\(tls.authorityFile)' cannot be read as PEM certificates")
    }
    if let certificate = tls.certificateFile {
      guard amqp_ssl_socket_set_key(socket, certificate, tls.keyFile ?? certificate) == AMQP_STATUS_OK.rawValue else {
        throw Self.fileFault("the client certificate '\(certificate)' and its key cannot be read or do not match")
      }
    }
    return socket
  }

  /// OpenSSL 1.1 and later need no initialisation, and other libraries of the process use it too.
  private static let openSSLInitialisesItself: Void = amqp_set_initialize_ssl_library(0)

  /// Not permanent: a file that is being replaced can be read again a moment later.
  private static func fileFault(_ text: String) -> AMQPError { .lost("set up TLS", text) }

  private func logIn(
    _ endpoint: AMQPEndpoint, _ address: String, _ configuration: AMQPConfiguration, _ operation: String
  ) throws(AMQPError) {
    // Without these capabilities the broker would not tell of a deleted queue nor of an alarm.
    var properties = arguments.table([
      "connection_name": .string(configuration.connectionName), "product": "AMQPClient for Swift",
      "capabilities": [
        "consumer_cancel_notify": true, "connection.blocked": true, "basic.nack": true, "publisher_confirms": true,
      ],
    ])
    let heartbeat = Int32(clamping: max(1, configuration.heartbeat.components.seconds))
    let channelMax = Int32(clamping: endpoint.parameters.channelMax ?? 0)
    let reply =
      endpoint.parameters.mechanism == .external
      ? baton_amqp_login_external(
        state, endpoint.virtualHost, channelMax, 131_072, heartbeat, &properties,
        // RabbitMQ does not look at it, and the library takes an empty one for a lack of memory.
        endpoint.user.isEmpty ? "certificate" : endpoint.user)
      : baton_amqp_login_plain(
        state, endpoint.virtualHost, channelMax, 131_072, heartbeat, &properties, endpoint.user, endpoint.password)
    arguments.recycle()
    guard reply.reply_type != AMQP_RESPONSE_NORMAL else { return }
    if reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION, reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD,
      let decoded = reply.reply.decoded
    {
      let close = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
      throw .refused(
        operation, code: Int(close.reply_code), text: String(close.reply_text), scope: .connection)
    }
    throw Self.connectFailure(endpoint, address, configuration, operation, reply.library_error, "logging in")
  }

  /// An error of the library, of a lost connection.
  static func failure(_ operation: String, _ status: Int32, _ moment: String) -> AMQPError {
    let text = amqp_error_string2(status).map { String(cString: $0) } ?? "status \(status)"
    return .lost(operation, "\(text), while \(moment)")
  }
}

extension timeval {
  init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    self.init(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
  }
}

package import NIOCore
internal import NIOPosix

/// What a server answered to one request.
package struct HTTPReply: Sendable {
  /// The status code.
  package var status: Int
  /// By name in lower case.
  package var headers: [String: String]
  package var body: String
}

/// An HTTP client that sends exactly the bytes it is given, so that a test may send what no client would.
package struct RawHTTPClient: Sendable {
  package var host = "127.0.0.1"
  package var port: Int
  /// A token that is sent to the API and the dashboard with each request that brings no `Authorization` and no `Cookie` of its own.
  package var bearer: String?

  package init(host: String = "127.0.0.1", port: Int, bearer: String? = nil) {
    self.host = host
    self.port = port
    self.bearer = bearer
  }

  /// The same without a token.
  package var stranger: RawHTTPClient { RawHTTPClient(host: host, port: port) }

  private func takesBearer(_ target: String, _ headers: [(String, String)]) -> Bool {
    !target.hasPrefix("/webhooks/") && !target.hasPrefix("/api/internal/") && !target.hasPrefix("/login")
      && !headers.contains { ["authorization", "cookie"].contains($0.0.lowercased()) }
  }

  /// Sends a well-formed request on a connection of its own.
  package func send(
    _ method: String, _ target: String, headers: [(String, String)] = [], body: [UInt8]? = nil
  ) async throws -> HTTPReply {
    var head = "\(method) \(target) HTTP/1.1\r\nConnection: close\r\n"
    if !headers.contains(where: { $0.0.lowercased() == "host" }) { head += "Host: 127.0.0.1:\(port)\r\n" }
    if let bearer, takesBearer(target, headers) { head += "Authorization: Bearer \(bearer)\r\n" }
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    guard let reply = try await exchange(Array((head + "\r\n").utf8) + (body ?? []), isHead: method == "HEAD") else {
      throw NoReply(request: "\(method) \(target)")
    }
    return reply
  }

  /// Sends bytes on a connection of its own and reads one answer.
  /// - Parameter isAll: whether the connection's sending half is closed behind the bytes.
  /// - Returns: nil if the server closes without one.
  /// - Throws: `NoReply` after 30 s.
  package func exchange(_ bytes: [UInt8], isAll: Bool = false, isHead: Bool = false) async throws -> HTTPReply? {
    try await withThrowingTaskGroup(of: HTTPReply?.self) { group in
      group.addTask { try await read(bytes, isAll: isAll, isHead: isHead) }
      group.addTask {
        try await Task.sleep(for: .seconds(30))
        throw NoReply(request: String(decoding: bytes.prefix(100), as: UTF8.self))
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
  }

  private func read(_ bytes: [UInt8], isAll: Bool, isHead: Bool) async throws -> HTTPReply? {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
      host: host, port: port
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
          wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
      }
    }
    return try await channel.executeThenClose { inbound, outbound in
      var received: [UInt8] = []
      do {
        try await outbound.write(ByteBuffer(bytes: bytes))
        if isAll { outbound.finish() }
        for try await part in inbound {
          received += part.readableBytesView
          if let reply = HTTPReply(received, isHead: isHead, isComplete: false) { return reply }
        }
      } catch is IOError {
        // The server has closed while the request was still being sent: its answer still counts.
      } catch is ChannelError {
      }
      return HTTPReply(received, isHead: isHead, isComplete: true)
    }
  }
}

/// A server that should have answered did not.
package struct NoReply: Error, CustomStringConvertible {
  /// The request's beginning.
  package let request: String

  package init(request: String) { self.request = request }

  package var description: String { "no answer to: \(request)" }
}

extension HTTPReply {
  /// - Parameter isComplete: whether nothing more will come.
  /// - Returns: nil if there is no whole answer.
  fileprivate init?(_ bytes: [UInt8], isHead: Bool, isComplete: Bool) {
    let text = String(decoding: bytes, as: UTF8.self)
    let end = "\r\n\r\n"
    guard text.hasPrefix("HTTP/1."), let headEnd = bytes.firstRange(of: Array(end.utf8)) else { return nil }
    let lines = String(decoding: bytes[..<headEnd.lowerBound], as: UTF8.self).split(separator: "\r\n")
    guard let code = lines.first?.split(separator: " ").dropFirst().first, let status = Int(code) else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
    }
    let body = bytes[headEnd.upperBound...]
    if !isComplete, !isHead {
      guard let length = headers["content-length"].flatMap({ Int($0) }), body.count >= length else { return nil }
    }
    self.init(status: status, headers: headers, body: String(decoding: body, as: UTF8.self))
  }
}

extension RawHTTPClient {
  /// A connection that nothing is read from.
  package func connect() async throws -> any Channel {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).channelOption(.autoRead, value: false)
      .connect(host: host, port: port).get()
  }

  /// Sends a text and then a byte now and then, until the server closes.
  /// - Returns: what the server sent.
  package func dribble(_ text: String, every pause: Duration) async throws -> String {
    try await conversation(text) { outbound in
      while true {
        try await Task.sleep(for: pause)
        try await outbound.write(ByteBuffer(string: "x"))
      }
    }
  }

  /// Sends a text.
  /// - Returns: all that the server sends until it closes.
  package func collect(_ text: String) async throws -> String {
    try await conversation(text) { _ in try await Task.sleep(for: .seconds(3_600)) }
  }

  private func conversation(
    _ text: String, _ go: @escaping @Sendable (NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws -> Void
  ) async throws -> String {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
      host: host, port: port
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    return try await channel.executeThenClose { inbound, outbound in
      try await outbound.write(ByteBuffer(string: text))
      return await withTaskGroup(of: String?.self) { group in
        group.addTask {
          try? await go(outbound)
          return nil
        }
        group.addTask {
          var received = ""
          do {
            for try await part in inbound { received += String(buffer: part) }
          } catch {
            // Closed while something was on its way: what came before counts.
          }
          return received
        }
        defer { group.cancelAll() }
        while let answer = await group.next() {
          if let answer { return answer }
        }
        return ""
      }
    }
  }
}

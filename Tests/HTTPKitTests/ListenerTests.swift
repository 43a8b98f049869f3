import HTTPKit
import Hummingbird
import Logging
import NIOCore
import Support
import Testing

/// Answers with the path, without end, or before the body has come.
private struct Echo: HTTPResponder {
  /// Gets what ends an answer without an end.
  let ended: AsyncStream<Void>.Continuation

  struct Context: InitializableFromSource {
    init(source: ApplicationRequestContextSource) {}
  }

  func respond(to request: Request, context: Context) async throws -> Response {
    if request.uri.path == "/endless" {
      return Response(
        status: .ok,
        body: ResponseBody { [ended] writer in
          defer { ended.finish() }
          while true { try await writer.write(ByteBuffer(repeating: 120, count: 65_536)) }
        })
    }
    if request.uri.path == "/body" { _ = try? await request.body.collect(upTo: 1 << 20) }
    return Response(status: .unauthorized, body: ResponseBody(byteBuffer: ByteBuffer(string: request.uri.path)))
  }
}

private func withListener(
  ended: AsyncStream<Void>.Continuation? = nil, _ change: (inout ConnectionLimits) -> Void = { _ in },
  _ body: @Sendable (RawHTTPClient) async throws -> Void
) async throws {
  var limits = ConnectionLimits(connectionMax: 64)
  change(&limits)
  let (ports, bound) = AsyncStream.makeStream(of: Int.self)
  let listener = HTTPListener(
    host: "127.0.0.1", port: 0, limits: limits,
    responder: Echo(ended: ended ?? AsyncStream.makeStream(of: Void.self).continuation),
    logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }, onBound: { bound.yield($0) })
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      defer { bound.finish() }
      try await listener.run()
    }
    var iterator = ports.makeAsyncIterator()
    let port = try #require(await iterator.next())
    try await body(RawHTTPClient(port: port))
    group.cancelAll()
    while let ended = await group.nextResult() { _ = ended }
  }
}

@Suite("Limits of a listener", .timeLimit(.minutes(1)))
struct ListenerTests {
  @Test("a head that does not end is not waited for, however often a byte of it comes")
  func head() async throws {
    try await withListener({ $0.head = .milliseconds(800) }) { client in
      let answer = try await client.dribble("GET / HTTP/1.1\r\nHost: a\r\nX: ", every: .milliseconds(100))
      #expect(answer.isEmpty)
    }
  }

  @Test("the head of a second request that does not end is not waited for, however often a byte of it comes")
  func secondHead() async throws {
    try await withListener({ $0.head = .milliseconds(800) }) { client in
      let answer = try await client.dribble(
        "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nX: ", every: .milliseconds(100))
      #expect(answer.hasSuffix("/first"))
    }
  }

  @Test("a body that does not end is not waited for")
  func arrivingBody() async throws {
    try await withListener({ $0.body = .milliseconds(800) }) { client in
      let head = "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
      let answer = try await client.dribble(head, every: .milliseconds(100))
      #expect(answer.isEmpty)
    }
  }

  @Test("an answer before the whole body says that the connection ends, and it does, though the body goes on")
  func drain() async throws {
    try await withListener({ $0.drain = .milliseconds(800) }) { client in
      let head = "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
      let answer = try await client.dribble(head, every: .milliseconds(100))
      #expect(answer.lowercased().contains("connection: close"))
      #expect(answer.hasSuffix("/refused"))
    }
  }

  @Test("the rest of a body that ends is taken, and the connection closed at once")
  func drained() async throws {
    try await withListener({ $0.drain = .seconds(3_600) }) { client in
      let body = [UInt8](repeating: 120, count: 600_000)
      let head = "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n"
      let reply = try await client.exchange(Array(head.utf8) + body)
      #expect(reply?.body == "/refused")
    }
  }

  @Test("a client that does not read its answer is not waited for")
  func unread() async throws {
    let (ends, ended) = AsyncStream.makeStream(of: Void.self)
    try await withListener(ended: ended, { $0.write = .milliseconds(800) }) { client in
      let silent = try await client.connect()
      try await silent.writeAndFlush(ByteBuffer(string: "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"))
      for await _ in ends {}
      silent.close(promise: nil)
    }
  }

  @Test("connections that send nothing do not keep out a request")
  func crowded() async throws {
    try await withListener({ limits in
      limits.connectionMax = 8
      limits.head = .seconds(3_600)
    }) { client in
      var held: [any Channel] = []
      for _ in 0..<40 { held.append(try await client.connect()) }
      #expect(try await client.send("GET", "/").status == 401)
      for channel in held { channel.close(promise: nil) }
    }
  }

  @Test(
    "a request without one valid Host is answered 400",
    arguments: [
      "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\nHOST: b\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost:80@evil\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: [::1].evil.com\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    ])
  func host(request: String) async throws {
    try await withListener { client in
      let reply = try #require(try await client.exchange(Array(request.utf8)))
      #expect(reply.status == 400)
      #expect(reply.headers["connection"] == "close")
      #expect(reply.body.contains("Host"))
    }
  }

  @Test("a request without a Host is accepted if its version has none")
  func oldVersion() async throws {
    try await withListener { client in
      let reply = try await client.exchange(Array("GET /old HTTP/1.0\r\n\r\n".utf8))
      #expect(reply?.body == "/old")
    }
  }

  @Test("a second request behind a whole one is answered on the same connection")
  func keepAlive() async throws {
    try await withListener { client in
      let request = "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
      let both = request + "GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      let answer = try await client.collect(both)
      #expect(answer.contains("/body"))
      #expect(answer.hasSuffix("/second"))
    }
  }
}

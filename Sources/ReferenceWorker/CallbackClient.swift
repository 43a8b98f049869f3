internal import AsyncHTTPClient
internal import FoundationEssentials
internal import HTTPTrust
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Reviews
internal import Spans
internal import Tracing
internal import WorkerAPI

/// Sends one status callback to Baton.
struct CallbackClient: Sendable {
  private let base: String
  private let secret: Secret?
  private let httpClient: HTTPClient
  private let trust: HTTPTrust
  private static let timeout: TimeAmount = .seconds(10)

  init(baseURL: String, secret: Secret?, httpClient: HTTPClient, trust: HTTPTrust) {
    var base = baseURL
    while base.hasSuffix("/") { base.removeLast() }
    self.base = base
    self.secret = secret
    self.httpClient = httpClient
    self.trust = trust
  }

  static func makeHTTPClient(maxConnections: Int, trust: HTTPTrust) -> HTTPClient {
    var configuration = HTTPClient.Configuration(tlsConfiguration: trust.initial)
    configuration.redirectConfiguration = .disallow
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = timeout
    configuration.timeout.read = timeout
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = max(maxConnections, 1)
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.connectionPool.idleTimeout = .seconds(4)
    // Each call has a span of Baton's.
    configuration.tracing.tracer = nil
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  func send(_ callback: PendingCallback) async -> CallbackAnswer {
    guard let trace = callback.trace else { return await send(callback, in: nil) }
    return await withSpan(.report, in: trace, attributes(of: callback)) { await send(callback, in: $0) }
  }

  private func send(_ callback: PendingCallback, in span: ActiveSpan?) async -> CallbackAnswer {
    do {
      var request = HTTPClientRequest(url: base + StatusCallback.path + callback.key.reviewID.lowercase)
      request.method = .POST
      request.tlsConfiguration = trust.replacement
      request.headers.add(name: "content-type", value: "application/json")
      if let secret {
        request.headers.add(name: StatusCallback.secretHeader, value: secret.reveal())
      } else if let token = callback.authToken {
        request.headers.add(name: "authorization", value: "Bearer \(token.reveal())")
      }
      if let span { request.headers.add(name: "traceparent", value: span.context.traceparent) }
      request.body = .bytes(ByteBuffer(bytes: callback.body))
      let response = try await httpClient.execute(request, timeout: Self.timeout)
      // Read to its end, so that the connection can be used again; its words are of no interest.
      for try await _ in response.body {}
      let status = Int(response.status.code)
      span?.set([SpanKey.statusCode: .int64(Int64(status))])
      if status >= 400 { span?.fail("\(status)") }
      return answer(status)
    } catch {
      span?.fail("unreachable")
      return .failed(await trust.fault(error, host: host, port: port) ?? "\(error)")
    }
  }

  private func attributes(of callback: PendingCallback) -> SpanAttributes {
    let path = (URLComponents(string: base)?.percentEncodedPath ?? "") + StatusCallback.path
    return .review(callback.key.reviewID, attempt: callback.key.attempt).with([
      SpanKey.method: "POST", SpanKey.address: .string(host), SpanKey.port: .int64(Int64(port)),
      SpanKey.path: .string(path + callback.key.reviewID.lowercase), SpanKey.status: .string(callback.status),
    ])
  }

  private var host: String { URLComponents(string: base)?.percentEncodedHost ?? "" }
  private var port: Int { URLComponents(string: base)?.port ?? (base.lowercased().hasPrefix("https:") ? 443 : 80) }

  private func answer(_ status: Int) -> CallbackAnswer {
    switch status {
    case 200..<300: .accepted
    case 400, 404, 410, 413, 422: .refused(status: status)
    default: .failed("answered \(status)")
    }
  }
}

/// What an answer means to the sender.
enum CallbackAnswer: Sendable, Equatable {
  case accepted
  /// Baton does not know the review, or cannot read the callback: sending it again helps only if that changes.
  case refused(status: Int)
  case failed(String)
}

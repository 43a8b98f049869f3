package import AsyncHTTPClient
internal import FoundationEssentials
package import HTTPTrust
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import Resilience

/// What an endpoint has made of an event.
package enum EventAnswer: Sendable, Equatable {
  /// 2xx.
  case accepted
  /// Anything else, or no answer.
  /// - Parameter pause: for how long it wants no request; nil if it does not say.
  case failed(String, pause: Duration?)
  /// 410: it wants no more.
  case gone
}

/// Posts events: bounded in time and size, never following a redirect, and showing no byte of an answer's body to anyone.
package struct EventSender: Sendable {
  private let httpClient: HTTPClient
  private let trust: HTTPTrust
  private let timeout: Duration

  /// What is read of an answer's body, so that the connection can be used again.
  private static let bodyByteCountMax = 64 * 1_024
  /// An endpoint cannot stop its events for longer at once.
  private static let pauseMax = Duration.seconds(3_600)

  /// - Parameters:
  ///   - httpClient: made with `trust`; must not follow redirects; stays the caller's to shut down.
  ///   - trust: whose certificates are accepted.
  ///   - timeout: for one request with its answer.
  package init(httpClient: HTTPClient, trust: HTTPTrust, timeout: Duration = .seconds(10)) {
    (self.httpClient, self.trust, self.timeout) = (httpClient, trust, timeout)
  }

  /// Posts one event.
  package func send(
    _ body: [UInt8], to address: EndpointAddress, headers: [(name: String, value: String)]
  ) async -> EventAnswer {
    var request = HTTPClientRequest(url: address.url)
    request.method = .POST
    request.headers = ["content-type": "application/json", "user-agent": "baton"]
    for header in headers { request.headers.add(name: header.name, value: header.value) }
    request.body = .bytes(ByteBuffer(bytes: body))
    request.tlsConfiguration = trust.replacement
    let result = await within(timeout) { [request] () -> Result<EventAnswer, any Error>? in
      do { return .success(try await exchange(request)) } catch { return .failure(error) }
    }
    switch result {
    case .success(let answer): return answer
    case .failure(let error):
      let fault = await trust.fault(error, host: address.host, port: address.port)
      return .failed(fault ?? Self.text(of: error), pause: nil)
    case nil: return .failed("it did not answer within \(timeout)", pause: nil)
    }
  }

  private func exchange(_ request: HTTPClientRequest) async throws -> EventAnswer {
    let response = try await httpClient.execute(request, timeout: .nanoseconds(Int64(timeout / .nanoseconds(1))))
    // What matters is the status.
    _ = try? await response.body.collect(upTo: Self.bodyByteCountMax)
    switch response.status.code {
    case 200..<300: return .accepted
    case 410: return .gone
    case 300..<400: return .failed("it answered \(response.status.code): a redirect is not followed", pause: nil)
    default:
      let pause = RetryAfter.wait { response.headers.first(name: $0) }
      return .failed("it answered \(response.status.code)", pause: pause.map { min($0, Self.pauseMax) })
    }
  }

  private static func text(of error: any Error) -> String {
    switch error {
    case is CancellationError: "the exchange was interrupted"
    case let error as HTTPClientError: error.shortDescription
    default: ConnectionFault.text(error) ?? "no connection, \(type(of: error))"
    }
  }
}

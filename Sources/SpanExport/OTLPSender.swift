internal import AsyncHTTPClient
internal import FoundationEssentials
package import HTTPTrust
internal import NIOCore
internal import NIOHTTP1
package import Primitives

/// Sends spans to a collector: OTLP over HTTP, in JSON.
package struct OTLPSender: SpanSender {
  private let url: String
  private let headers: HTTPHeaders
  private let httpClient: HTTPClient
  private let trust: HTTPTrust

  private static let timeout: TimeAmount = .seconds(10)
  /// More of an answer is not read.
  private static let answerByteCountMax = 64 << 10

  /// - Parameters:
  ///   - endpoint: base URL of the collector; `/v1/traces` is added.
  ///   - headers: sent with each request.
  ///   - trust: whose certificates are accepted.
  package init(endpoint: String, headers: [(name: String, value: Secret)], trust: HTTPTrust) {
    url = endpoint + "/v1/traces"
    self.headers = HTTPHeaders(
      [("content-type", "application/json")] + headers.map { ($0.name, $0.value.reveal()) })
    self.trust = trust
    var configuration = HTTPClient.Configuration(tlsConfiguration: trust.initial)
    configuration.redirectConfiguration = .disallow
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = .seconds(5)
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1
    configuration.connectionPool.retryConnectionEstablishment = false
    // Or each export would record spans of itself.
    configuration.tracing.tracer = nil
    httpClient = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  package func send(_ body: [UInt8]) async -> SendOutcome {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers = headers
    request.tlsConfiguration = trust.replacement
    request.body = .bytes(ByteBuffer(bytes: body))
    do {
      let response = try await httpClient.execute(request, timeout: Self.timeout)
      let status = Int(response.status.code)
      let answer = try? await response.body.collect(upTo: Self.answerByteCountMax)
      return Self.outcome(status, response.headers, answer.map { Data($0.readableBytesView) } ?? Data())
    } catch {
      let url = URLComponents(string: url)
      let isTLS = url?.scheme?.lowercased() == "https"
      let fault = await trust.fault(error, host: url?.percentEncodedHost ?? "", port: url?.port ?? (isTLS ? 443 : 80))
      return .failed(fault ?? "\(error)", retryAfter: nil)
    }
  }

  package func close() async {
    // Everything has been answered by now; a connection that does not close cleanly changes nothing.
    try? await httpClient.shutdown()
  }

  /// As OTLP has it: 429, 502, 503 and 504 are worth another try; a 200 may say that it has not taken all.
  static func outcome(_ status: Int, _ headers: HTTPHeaders, _ body: Data) -> SendOutcome {
    switch status {
    case 200..<300:
      let partial = (try? JSONCoding.decode(ExportResponse.self, from: body, repairingText: true))?.partialSuccess
      return .accepted(rejected: partial?.rejected ?? 0, reason: partial?.errorMessage)
    case 429, 502, 503, 504:
      return .failed("it answered \(status)", retryAfter: RetryAfter.wait { headers.first(name: $0) })
    default: return .refused("it answered \(status)")
    }
  }

  private struct ExportResponse: Decodable {
    var partialSuccess: Partial?
  }

  private struct Partial: Decodable {
    var rejectedSpans: Count?
    var errorMessage: String?

    var rejected: Int { max(rejectedSpans?.value ?? 0, 0) }
  }

  /// A 64-bit integer of protobuf: text or a number.
  private struct Count: Decodable {
    var value: Int

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Int.self) {
        value = number
      } else {
        value = Int(try container.decode(String.self)) ?? 0
      }
    }
  }
}

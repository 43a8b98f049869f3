internal import NIOHTTP1
internal import Spans
internal import Tracing

extension WorkerEndpoint {
  /// What a span says of a call before it is made.
  func attributes(_ method: HTTPMethod, _ route: String) -> SpanAttributes {
    [
      SpanKey.method: .string(method.rawValue), SpanKey.address: .string(host), SpanKey.port: .int64(Int64(port)),
      SpanKey.path: .string(path + route),
    ]
  }
}

extension ActiveSpan {
  /// How the call ended.
  func note(_ result: ExchangeResult) {
    switch result {
    case .answered(let answer):
      set([SpanKey.statusCode: .int64(Int64(answer.status))])
      if answer.status >= 400 { fail("\(answer.status)") } else if !answer.isComplete { fail("incomplete") }
    case .failed(let error, let wasSent): fail(error.spanCode ?? (wasSent ? "lost" : "unreachable"))
    }
  }
}

extension Error {
  fileprivate var spanCode: String? {
    switch self as? ExchangeFailure {
    case .timedOut, .noConnectionInTime: "timeout"
    case .cancelled: "cancelled"
    case .tls: "tls"
    case .closed, .tooLong, nil: nil
    }
  }
}

internal import FoundationEssentials
internal import NIOHTTP1
internal import Primitives
internal import Reviews
internal import WorkerAPI

// The table "What an answer means to Baton" of the worker contract.
extension WorkerClient {
  func outcome(of result: ExchangeResult, reviewID: UUID) -> DispatchOutcome {
    guard case .answered(let answer) = result else {
      guard case .failed(_, wasSent: false) = result else { return .ambiguous(message: message(for: result)) }
      return .unavailable(message: message(for: result))
    }
    switch answer.status {
    case 200..<300:
      guard answer.isComplete, let response = StartResponse(json: answer.body) else {
        return .ambiguous(
          message: "\(target) answered \(answer.status) with a body that is not the contract's JSON",
          isAnswer: answer.isComplete)
      }
      guard response.reviewId == reviewID else {
        return .ambiguous(
          message: "\(target) answered \(answer.status) for another review than the one that was started",
          isAnswer: true)
      }
      return .dispatched(response)
    case 429:
      return .throttled(retryAfter: answer.retryAfter, message: message(for: result))
    case 503:
      guard let retryAfter = answer.retryAfter else {
        return .ambiguous(message: message(for: result), isAnswer: true)
      }
      return .throttled(retryAfter: retryAfter, message: message(for: result))
    case 408, 421, 425: return .again(message: message(for: result))
    case 400, 409, 413, 422:
      return answer.isError ? .refused(message: message(for: result)) : .outage(message: message(for: result))
    case 300..<500: return .outage(message: message(for: result))
    default: return .ambiguous(message: message(for: result), isAnswer: true)
    }
  }

  func statusAnswer(of result: ExchangeResult, reviewID: UUID) -> StatusAnswer {
    guard case .answered(let answer) = result else { return .failed(message: message(for: result)) }
    switch answer.status {
    case 200:
      guard answer.isComplete,
        let status = try? JSONCoding.decode(RunStatus.self, from: answer.body, repairingText: true),
        status.reviewId == reviewID
      else { return .failed(message: "\(target) answered 200 with a body that is not this review's status") }
      return .known(status)
    case 404 where answer.isError: return .unknown
    case 401, 403, 407, 408, 421, 425, 429: return .failed(message: message(for: result))
    case 400..<500: return .unsupported(message: message(for: result))
    default: return .failed(message: message(for: result))
    }
  }

  func cancelAnswer(of result: ExchangeResult) -> CancelAnswer {
    guard case .answered(let answer) = result else { return .failed(message: message(for: result)) }
    switch answer.status {
    case 200..<300:
      guard answer.isComplete,
        let response = try? JSONCoding.decode(CancelResponse.self, from: answer.body, repairingText: true)
      else {
        return .failed(message: "\(target) answered \(answer.status) with a body that is not the contract's JSON")
      }
      return .done(success: response.success)
    case 404 where answer.isError: return .unknown
    default: return .failed(message: message(for: result))
    }
  }
}

extension ExchangeAnswer {
  /// How long the worker asks to be left alone; nil if it does not say.
  fileprivate var retryAfter: Duration? { RetryAfter.wait { headers.first(name: $0) } }

  /// Whether this is an error as the contract has it: `{"error": "…"}`. Only the worker itself answers so; what stands in front of it
  /// has pages and texts of its own.
  fileprivate var isError: Bool {
    isComplete && (try? JSONCoding.decode(ErrorBody.self, from: body, repairingText: true)) != nil
  }
}

internal import FoundationEssentials
internal import NIOHTTP1
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
      return .throttled(retryAfter: RetryAfter.parse(answer.headers), message: message(for: result))
    case 503:
      guard let retryAfter = RetryAfter.parse(answer.headers) else {
        return .ambiguous(message: message(for: result), isAnswer: true)
      }
      return .throttled(retryAfter: retryAfter, message: message(for: result))
    case 400..<500:
      return .refused(message: message(for: result))
    default:
      // 5xx; and a redirect, which is not followed and which the contract does not know.
      return .ambiguous(message: message(for: result), isAnswer: true)
    }
  }

  func statusAnswer(of result: ExchangeResult, reviewID: UUID) -> StatusAnswer {
    guard case .answered(let answer) = result else { return .failed(message: message(for: result)) }
    switch answer.status {
    case 200:
      guard answer.isComplete, let status = try? JSONDecoder().decode(RunStatus.self, from: Data(answer.body)),
        status.reviewId == reviewID
      else { return .failed(message: "\(target) answered 200 with a body that is not this review's status") }
      return .known(status)
    case 404: return .unknown
    case 401, 403, 408, 425, 429: return .failed(message: message(for: result))
    case 400..<500: return .unsupported
    default: return .failed(message: message(for: result))
    }
  }

  func cancelAnswer(of result: ExchangeResult) -> CancelAnswer {
    guard case .answered(let answer) = result else { return .failed(message: message(for: result)) }
    switch answer.status {
    case 200..<300:
      guard answer.isComplete, let response = try? JSONDecoder().decode(CancelResponse.self, from: Data(answer.body))
      else {
        return .failed(message: "\(target) answered \(answer.status) with a body that is not the contract's JSON")
      }
      return .done(success: response.success)
    case 404: return .unknown
    default: return .failed(message: message(for: result))
    }
  }
}

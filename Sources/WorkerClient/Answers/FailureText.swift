internal import FoundationEssentials
internal import HTTPTrust
internal import Primitives
internal import Reviews
internal import WorkerAPI

extension WorkerClient {
  /// The longest text of the worker's, and of an error's, that a message takes over, in characters.
  private static let textCountMax = 500

  /// What happened, in words for an operator: never the token, nor anything of the request.
  func message(for result: ExchangeResult) -> String {
    switch result {
    case .answered(let answer):
      let text = workerText(answer.body)
      return "\(target) answered \(answer.status)" + (text.isEmpty ? "" : ": \(text)")
    case .failed(let error, wasSent: false): return "\(target) could not be reached: \(bounded(describe(error)))"
    case .failed(let error, wasSent: true): return "no answer from \(target): \(bounded(describe(error)))"
    }
  }

  private func workerText(_ body: [UInt8]) -> String {
    let text =
      (try? JSONCoding.decode(ErrorBody.self, from: body, repairingText: true))?.error
      ?? String(decoding: body.prefix(4 * Self.textCountMax), as: UTF8.self)
    return bounded(text)
  }

  private func describe(_ error: any Error) -> String {
    switch error {
    case let failure as ExchangeFailure: describe(failure)
    default: ConnectionFault.text(error) ?? "\(error)"
    }
  }

  private func describe(_ failure: ExchangeFailure) -> String {
    switch failure {
    case .timedOut: "nothing within \(timeout)"
    case .noConnectionInTime: "no connection in time"
    case .closed: "the connection was closed"
    case .cancelled: "the call was cancelled"
    case .tooLong: "the answer's body is too long"
    case .tls(let text): text
    }
  }

  private func bounded(_ text: String) -> String {
    var text = String(text.prefix(2 * Self.textCountMax))
    let token = token.reveal()
    if !token.isEmpty { text = text.replacing(token, with: "***") }
    text = String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
    text = String(text.drop(while: \.isWhitespace))
    return text.count > Self.textCountMax ? String(text.prefix(Self.textCountMax - 1)) + "…" : text
  }
}

import FoundationEssentials
import HTTPKit
import HTTPTypes
import Primitives
import Reviews
import WorkerAPI

@testable import BatonServer
@testable import ReferenceWorker
@testable import ReviewStore

/// Bodies of status callbacks, and the lines that an agent prints.
func fuzzReport(_ bytes: [UInt8]) throws {
  let body = Data(bytes)
  switch Result(catching: { () throws(HTTPFault) in try CallbackBody.report(from: body).report }) {
  case .success(let report):
    for text in [report.errorMessage, report.sessionId, report.model].compactMap({ $0 }) {
      try promise(!text.utf8.contains(0), "a report has NUL, which Postgres does not store")
    }
  case .failure(let fault):
    try promise([400, 422].contains(fault.status.code) && !fault.faults.isEmpty, "a report is refused with \(fault)")
  }
  _ = try? JSONCoding.decode(StatusCallback.self, from: body)
  _ = AuthToken.verify(
    String(decoding: bytes.prefix(2_000), as: UTF8.self), keys: [key], now: Date(timeIntervalSince1970: 0))
  readAgentLines(bytes)
}

private let key = AuthKey(encryptionKey: [UInt8](repeating: 7, count: 32))

private let redactor = RunRedactor(
  StartRequest(
    reviewId: UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)), attempt: 1,
    authToken: "token-of-run",
    sessionInput: SessionInput(prompt: "", model: "m", platform: .github, upstreamBranch: "main"),
    owner: RunOwner(type: .org, id: "acme"), maxReviewTimeMinutes: 1), ofWorker: [Secret("secret-of-worker")])

private func readAgentLines(_ bytes: [UInt8]) {
  var splitter = LineSplitter()
  for line in splitter.append(bytes) + [splitter.finish()].compactMap({ $0 }) {
    _ = AgentLine(line).redacted(by: redactor)
  }
}

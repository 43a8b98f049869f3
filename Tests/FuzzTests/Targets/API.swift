import FoundationEssentials
import HTTPKit
import Primitives
import Reviews
import WorkerAPI

@testable import BatonServer
@testable import ReferenceWorker
@testable import ReviewStore

/// A word that says what it is, then a body or a query.
func fuzzAPI(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let kind = input.line()
  let body = input.data
  let now = Timestamp(microseconds: 1_790_000_000_000_000)
  switch kind {
  case "cancel", "retry":
    _ = try? OperationBody(body, for: kind == "cancel" ? .cancel : .retry, now: now)
  case "integration": readFields(body, IntegrationFields.names) { _ = try? IntegrationFields($0) }
  case "owner", "configuration", "endpoint":
    readFields(body, ["owner", "limit", "isPaused", "platform", "config", "url", "secret"]) { reader in
      var reader = reader
      _ = (reader.owner(), reader.platform(), reader.flag("isPaused"), reader.secret("secret"))
      if let config = reader.value("config"), let json = try? JSONCoding.encode(config) {
        readConfiguration(String(decoding: json, as: UTF8.self))
      }
    }
  case "query":
    let query = QueryText(input.text, knowing: ListQuery.names + WebhookQuery.names)
    if let list = try? ListQuery(query.values) { _ = (list.filter(now: now), list.cursor?.description) }
    if let list = try? WebhookQuery(query.values) { _ = list.cursor?.description }
  case "start": try readStart(body)
  case "json": try readJSON(body)
  default: _ = try? NewReview(json: body)
  }
}

private func readFields(_ body: Data, _ names: [String], _ read: (FieldReader) -> Void) {
  guard case .object(let fields)? = try? JSONValue(json: body) else { return }
  read(FieldReader(fields, knowing: names))
}

private func readConfiguration(_ json: String) {
  guard let configuration = try? ReviewConfiguration(json: json) else { return }
  let subject = PullRequestFilter.Subject(
    author: "dependabot[bot]", isBot: true, base: "release/1.2", labels: ["no-review"], title: "Bump a to 1.2",
    isDraft: false)
  _ = configuration.filter.exclusion(of: subject)
  _ = configuration.filter.exclusion(
    ofFiles: ChangedFiles(paths: ["src/a/b.swift", "README.md"], isComplete: true))
}

/// The body of `POST /review`, which the reference worker takes.
private func readStart(_ body: Data) throws {
  guard let start = try? StartFaults.parse(Array(body), idempotencyKey: nil) else { return }
  let again = try JSONCoding.decode(StartRequest.self, from: start.encode())
  try promise(again == start, "a start request is written as another one")
}

private func readJSON(_ body: Data) throws {
  for repairs in [false, true] {
    guard let value = try? JSONValue(json: body, repairingText: repairs) else { continue }
    let written = try JSONCoding.encode(value)
    try promise(try JSONValue(json: written) == value, "JSON is written as another value")
  }
}

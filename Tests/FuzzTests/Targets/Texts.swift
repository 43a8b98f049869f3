import FoundationEssentials
import HTTPKit
import Primitives
import Reviews

@testable import AMQPClient
@testable import BatonServer
@testable import Platforms
@testable import PostgresClient
@testable import Settings
@testable import Telemetry
@testable import WorkerClient

/// One letter says what the text is: a time, an address, a pattern with names, a word of a shell, or a line of a log.
func fuzzText(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  switch input.byte() {
  case UInt8(ascii: "t"): try readTime(input.text)
  case UInt8(ascii: "a"): readAddress(input.text)
  case UInt8(ascii: "g"):
    let pattern = PullRequestFilter.Pattern(String(input.line().prefix(PullRequestFilter.entryByteCountMax)))
    for name in input.text.split(separator: "\n").prefix(8) { _ = pattern.matches(String(name)) }
  case UInt8(ascii: "w"): try readName(input.text)
  default: try readLogLine(input.text)
  }
}

private func readTime(_ text: String) throws {
  if let time = Timestamp(text) {
    try promise(Timestamp(time.description) == time || time.description.count != 27, "\(time) is read as another time")
    // Years before 1000 are no year that comes first in a date of others.
    if let same = LenientTime.read(text) { try promise(same == time, "\(text) is two times") }
  }
  let now = Date(timeIntervalSince1970: 1_790_000_000)
  if let delay = RetryAfter.parse(text, now: now) {
    try promise((.zero...RetryAfter.max).contains(delay), "a wait of \(delay)")
  }
  _ = LenientTime.read(text).map { Date($0) }
  _ = TimeBound(text).map { ($0.instant(now: Timestamp(microseconds: 1_790_000_000_000_000)), $0.description) }
  _ = PostgresInstant(rfc3339: text)
  _ = Settings.duration(text)
}

private func readAddress(_ text: String) {
  let hosts = GitLabHosts(["gitlab.example.com", "localhost", "[::1]:8080"])
  _ = try? hosts.instance(at: text).url
  _ = try? hosts.instance(of: nil, mergeRequest: text)
  let base = APIBase(text)
  _ = base?.sameOrigin("../x?y#z", from: text)
  _ = (base?.origin, base?.keepsSecrets)
  _ = APIBase("https://api.example.com")?.sameOrigin(text, from: "https://api.example.com/a/b")
  _ = WorkerEndpoint(url: text)?.authority
  _ = try? EndpointAddress(text, allowed: ["hooks.example.com", "localhost:8080"])
  _ = (Authority(text), AddressRange(text).map { $0.contains("10.0.0.1") })
  _ = try? AMQPEndpoint(url: text).description
  _ = try? ConnectionString(text)["host"]
  _ = try? SettingText.httpURL(text)
  _ = try? SettingText.tokenURL(text)
  _ = try? SettingText.amqpURLs(text)
  _ = try? SettingText.hosts(text)
  _ = try? SettingText.addressRanges(text)
  _ = (OutsideName.addressFault(text), text.percentEncoded, GitHubSource.path(of: text))
}

private func readName(_ text: String) throws {
  let word = text.shellWord
  try promise(!word.isEmpty && !word.hasPrefix("-"), "\(text) is an option of a shell")
  try promise(
    !word.utf8.contains { $0 < 0x20 || $0 == UInt8(ascii: "`") || $0 == 0x7F }, "\(text) has a hidden character")
  _ = (OutsideName.refFault(text), OutsideName.repositoryFault(text), OutsideName.commitFault(text))
  _ = (
    OutsideName.authorFault(text), IDPrefix(text)?.description, UUID(text: text)?.lowercase, Owner(text)?.description
  )
  _ = (PEMText.normalized(text), PlatformWebhook.pullRequest(ofGroup: text))
}

private func readLogLine(_ text: String) throws {
  let redacted = Redactor().redact(text)
  let record = LogRecord(
    timestamp: "", level: "info", label: "fuzz", message: redacted, metadata: [(key: "text", value: redacted)])
  for format in LogFormat.allCases {
    let line = record.line(format)
    try promise(line.utf8.count { $0 == UInt8(ascii: "\n") } == 1, "a record has several lines")
  }
}

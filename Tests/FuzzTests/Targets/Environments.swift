import FoundationEssentials
import Primitives
import ReviewQueue
import ReviewStore
import Reviews

@testable import Settings

/// `env` or `file`, then `NAME=value` lines, or a configuration file.
func fuzzSettings(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let kind = input.line()
  let text = input.text
  // A setting may name any file, also one without an end.
  guard !["/dev", "/proc", "/sys"].contains(where: { text.contains($0) }) else { return }
  if kind == "file" { return try readFile(text) }
  var environment: [String: String] = [:]
  for line in text.split(separator: "\n") {
    let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    environment["BATON_\(parts[0])"] = parts.count > 1 ? String(parts[1]) : ""
  }
  try load(environment)
}

private func readFile(_ text: String) throws {
  guard let values = try? ConfigurationFile.parse(text, path: "baton.yaml") else { return }
  try load(
    Dictionary(values.map { ("BATON_\($0.key.uppercased())", $0.value) }, uniquingKeysWith: { first, _ in first }))
}

/// What inputs of the corpus have as their secrets.
private let mark = "S3cr3tMark"

private func load(_ environment: [String: String]) throws {
  let secret = Set(Settings.definitions.filter(\.isSecret).map(\.variable))
  let isMarkSecret = environment.allSatisfy {
    !($0.value.contains(mark) || $0.key.contains(mark)) || secret.contains($0.key)
  }
  let result = Result { () throws(SettingsError) in
    try Settings.load(flags: [:], environment: environment, file: nil)
  }
  switch result {
  case .success(let settings):
    let keys = Set(Settings.definitions.map(\.key))
    let texts = settings.warnings + settings.plaintextWarnings(of: keys) + settings.shortSecretWarnings(of: keys)
    try promise(!isMarkSecret || !texts.joined().contains(mark), "a warning shows a secret: \(texts)")
    _ = (try? settings.brokerAddress.configuration("fuzz"), settings.databaseAddress.configuration("fuzz"))
  case .failure(let error):
    try promise(!isMarkSecret || !"\(error)".contains(mark), "an error shows a secret: \(error)")
  }
}

/// How much a finding matters; in the order of that.
enum Severity: String, Sendable, Comparable, CaseIterable {
  case suggestion = "SUGGESTION"
  case warning = "WARNING"
  case critical = "CRITICAL"

  static func < (left: Severity, right: Severity) -> Bool {
    (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
  }
}

/// Something in a difference that a reviewer would point at.
struct Finding: Sendable, Equatable {
  var severity: Severity
  var path: String
  /// The first line that it is about.
  var line: Int
  /// How many lines of the file it is about.
  var lineCount: Int
  var text: String

  var message: String {
    let more = lineCount > 1 ? " (and \(lineCount - 1) more in this file)" : ""
    return "\(severity.rawValue) \(path):\(line): \(text)\(more)"
  }
}

/// What is looked for in lines that were added: by plain rules, since the sandbox has no model.
struct Rule: Sendable {
  let severity: Severity
  let text: String
  let matches: @Sendable (_ path: String, _ line: String) -> Bool

  private init(
    _ severity: Severity, _ text: String, _ matches: @escaping @Sendable (_ path: String, _ line: String) -> Bool
  ) {
    self.severity = severity
    self.text = text
    self.matches = matches
  }

  /// One finding a file and rule, the gravest first, then by place.
  static func findings(in files: [FileDiff]) -> [Finding] {
    files.flatMap { file in
      all.compactMap { rule in
        let lines = file.added.filter { rule.matches(file.path, $0.text) }
        return lines.first.map {
          Finding(
            severity: rule.severity, path: file.path, line: $0.line, lineCount: lines.count, text: rule.text)
        }
      }
    }
    .sorted { ($1.severity, $0.path, $0.line) < ($0.severity, $1.path, $1.line) }
  }

  static let all: [Rule] = [
    Rule(.critical, "a secret in the source: remove it, and renew it, as it stays in the history") { _, line in
      line.contains("PRIVATE KEY-----") || line.contains(anyOf: ["ghp_", "ghs_", "glpat-", "AKIA", "xoxb-"])
    },
    Rule(.critical, "runs text as code or as a shell command: make sure that no outsider can choose it") { _, line in
      line.contains(anyOf: ["eval(", "os.system(", "shell=True", "child_process.exec(", "Runtime.getRuntime().exec("])
    },
    Rule(.warning, "catches everything, and hides what went wrong") { _, line in
      let line = line.filter { $0 != " " && $0 != "\t" }
      return line == "except:" || line.hasPrefix("except:pass") || line.hasSuffix("catch{}")
        || line.contains("rescue=>nil")
    },
    Rule(.warning, "sends in the clear: use https") { _, line in
      line.contains("http://") && !line.contains(anyOf: ["http://localhost", "http://127.0.0.1", "http://www.w3.org"])
    },
    Rule(.warning, "silences a check: say why next to it") { _, line in
      line.contains(anyOf: [
        "pragma no", "# noqa", "eslint-disable", "@SuppressWarnings", "swiftlint:disable", "NOLINT",
      ])
    },
    Rule(.warning, "an assertion that checks input is gone when the program is optimised") { path, line in
      path.hasSuffix(".py") && !path.lowercased().contains("test") && line.trimmed.hasPrefix("assert ")
    },
    Rule(.suggestion, "compares with None: use `is`") { path, line in
      path.hasSuffix(".py") && line.contains(anyOf: ["== None", "!= None"])
    },
    Rule(.suggestion, "something is left to do") { _, line in line.contains(anyOf: ["TODO", "FIXME", "XXX", "@toto"]) },
    Rule(.suggestion, "prints: was this for debugging?") { path, line in
      line.trimmed.hasPrefix("print ") || line.trimmed.hasPrefix("print(") || line.contains("console.log(")
    },
    Rule(.suggestion, "blanks at the end of the line") { path, line in
      !path.hasSuffix(".md") && line.last.map { $0 == " " || $0 == "\t" } ?? false && !line.trimmed.isEmpty
    },
    Rule(.suggestion, "longer than 140 characters") { _, line in line.count > 140 },
  ]
}

extension String {
  fileprivate func contains(anyOf words: [String]) -> Bool { words.contains { contains($0) } }

  fileprivate var trimmed: Substring { drop { $0 == " " || $0 == "\t" } }
}

import Foundation
import Primitives
import Reviews
import Settings
import Testing

@Suite("Settings that are secrets")
struct SecretSettingTests {
  private static let otherKey = Data(repeating: 8, count: 32).base64EncodedString()

  private func load(_ environment: [String: String], flags: [String: String] = [:], file: String? = nil) throws
    -> Settings
  {
    try Settings.load(flags: flags, environment: environment, file: file)
  }

  @Test("each secret that is compared or opens something is a list, the newest first")
  func lists() throws {
    let settings = try load([
      "BATON_WORKER_TOKEN": "new,old", "BATON_CALLBACK_SECRET": "new, old", "BATON_GITHUB_WEBHOOK_SECRET": "new,old",
      "BATON_GITLAB_WEBHOOK_SECRET": "new,old", "BATON_ENCRYPTION_KEY": "\(Self.otherKey),\(key32)",
    ])
    for list in [
      settings.workerToken, settings.callbackSecret, settings.githubWebhookSecret, settings.gitlabWebhookSecret,
    ] {
      #expect(list?.all.map { $0.reveal() } == ["new", "old"])
    }
    #expect(settings.revealEncryptionKeys().map(\.first) == [8, 7])
    for wrong in ["\(key32),", "\(key32),AAAA", "\(key32);\(key32)"] {
      #expect(faults(flags: ["encryption_key": wrong]).count == 1, "\(wrong)")
    }
  }

  /// A right text for each setting that is a secret.
  private static func example(_ key: Settings.Key) -> String {
    switch key {
    case .databaseURL: "postgres://u:hunter2@h/d"
    case .amqpURL: "amqp://u:hunter2@h"
    case .encryptionKey: key32
    case "github_private_key": pem
    case "otlp_headers": "x-api-key=hunter2hunter2hunter2"
    default: "hunter2hunter2hunter2"
    }
  }

  private static let secrets = Settings.definitions.filter(\.isSecret)

  @Test("every secret may be the path of a file, in a flag, in a variable, and in the file of settings")
  func files() throws {
    for name in Self.secrets {
      // Two settings that are given together.
      let url = name.key == "posthog_key" ? ["BATON_POSTHOG_URL": "https://h"] : [:]
      try withFile(Self.example(name.key) + "\n", suffix: "txt") { path in
        let key = name.key.name
        #expect(try load(url.merging([name.variable: "@\(path)"]) { $1 }).given.contains(name.key))
        #expect(try load(url, flags: [key: "@\(path)"]).given.contains(name.key))
        try withFile("\(key): \"@\(path)\"\n") { file in
          let settings = try load(url, file: file)
          #expect(settings.given.contains(name.key))
        }
      }
    }
    try withFile("new,old\n", suffix: "txt") { path in
      let tokens = try load(["BATON_WORKER_TOKEN": "@\(path)"]).workerToken
      #expect(tokens?.all.map { $0.reveal() } == ["new", "old"])
    }
  }

  @Test("a file that cannot be read is a fault that does not repeat the value: it may be a secret with an @")
  func unreadable() {
    for name in Self.secrets {
      let fault = faults(flags: [name.key.name: "@hunter2/of/mine"]).first { $0.contains(name.variable) } ?? ""
      #expect(fault.contains("begins with '@'") && !fault.contains("hunter2"), "\(name.variable): \(fault)")
    }
  }

  @Test("a file of a secret, and a file of settings with one, that all users can read is a warning")
  func rights() throws {
    func warnings(_ mode: Int, _ text: String, _ load: (String) throws -> Settings) throws -> [String] {
      try withFile(text) { path in
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return try load(path).warnings
      }
    }
    let open = try warnings(0o644, "hunter2") { try load(["BATON_WORKER_TOKEN": "@\($0)"]) }
    #expect(open.count == 1 && open[0].contains("BATON_WORKER_TOKEN") && open[0].contains("chmod 600"))
    #expect(try warnings(0o640, "hunter2") { try load(["BATON_WORKER_TOKEN": "@\($0)"]) } == [])
    let text = "worker_token: hunter2\nprefetch: 3\ndatabase_url: host=h\n"
    let settings = try warnings(0o644, text) { try load([:], file: $0) }
    #expect(settings.count == 1 && settings[0].contains("worker_token") && !settings[0].contains("hunter2"))
    #expect(try warnings(0o600, text) { try load([:], file: $0) } == [])
    #expect(try warnings(0o644, "prefetch: 3\namqp_url: amqp://h\n") { try load([:], file: $0) } == [])
  }

  @Test("a secret on the command line is a warning; a path, and a URL without a password, are none")
  func commandLine() throws {
    for name in Self.secrets where name.key != "posthog_key" {
      let given = try load([:], flags: [name.key.name: Self.example(name.key)])
      #expect(given.warnings.count == 1 && given.warnings[0].contains("\(name.key.flag) @/path"), "\(given.warnings)")
      #expect(!given.warnings.joined().contains("hunter2"))
    }
    let quiet = try load(
      [:], flags: ["database_url": "postgres://u@h/d", "amqp_url": "amqp://h", "http_port": "9000"])
    #expect(quiet.warnings == [])
  }

  @Test(
    "a secret that can be guessed is a warning of the roles that use it, once for each setting, and shows nothing of it"
  )
  func short() throws {
    let names = [
      "BATON_WORKER_TOKEN", "BATON_CALLBACK_SECRET", "BATON_GITHUB_WEBHOOK_SECRET", "BATON_GITLAB_WEBHOOK_SECRET",
    ]
    let long = String(repeating: "x", count: 16)
    let all = Set(Settings.definitions.map(\.key))
    for name in names {
      for text in ["q", "q,z", "\(long),q", String(repeating: "q", count: 15)] {
        let warnings = try load([name: text]).shortSecretWarnings(of: all)
        #expect(warnings.count == 1 && warnings[0].contains(name) && warnings[0].contains("16 bytes"), "\(warnings)")
        #expect(!warnings.joined().contains("q") && !warnings.joined().contains("z"))
      }
      let short = try load([name: "q"])
      #expect(short.shortSecretWarnings(of: []) == [] && short.warnings == [])
      #expect(try load([name: "\(long),\(long)y"]).shortSecretWarnings(of: all) == [])
    }
    #expect(try load([:]).shortSecretWarnings(of: all) == [])
  }

  // MARK: What messages show

  /// Pieces that make a password hard to keep together; the word around them must not show.
  private static let separators = [
    "", "/", "@", "#", "?", "%", "%40", "%2F", ":", " ", "&", "=", "'", "\"", "\\", "[", "\u{7F}",
  ]

  @Test("no message shows a piece of a password, whatever its characters, the setting, and the form of the value")
  func noPassword() {
    var texts: [String] = []
    for first in Self.separators {
      for second in ["", "/", "@", "="] {
        let password = "hunter2\(first)hunter2\(second)hunter2"
        for scheme in ["http", "postgres", "amqp", ""] {
          let start = scheme.isEmpty ? "" : "\(scheme)://"
          texts += ["\(start)u:\(password)@h:80/x", "\(start)\(password)@h", "\(start)u:\(password)@h:x/?y=1#z"]
        }
      }
    }
    texts += ["password=hunter2 hst=x", "host=h password=hunter2'", "Bearer hunter2hunter2hunter2x1"]
    for name in Settings.definitions {
      for text in texts {
        for fault in faults(flags: [name.key.name: text]) {
          #expect(!fault.contains("hunter2"), "\(name.variable)")
        }
      }
    }
  }

  @Test("a token in the wrong setting is not shown, what is merely mistyped is")
  func shown() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    for name in Settings.definitions {
      for text in [token, "https://h/?token=\(token)", "https://h/\(token)?", "https://\(token):x/"] {
        #expect(!faults(flags: [name.key.name: text]).joined().contains("16C7"), "\(name.variable)")
      }
    }
    for (key, value, shown) in [
      ("http_port", "80a", "\"80a\""), ("lease", "soon", "\"soon\""), ("log_level", "loud", "\"loud\""),
      ("worker_url", "ftp://h:80/x", "\"ftp://h:80/…\""), ("worker_url", "http://h:99999", "\"http://h:99999\""),
      ("gitlab_hosts", "https://gitlab.com", "\"https://gitlab.com\""),
    ] {
      #expect(faults(flags: [key: value]).first?.contains(shown) == true, "\(faults(flags: [key: value]))")
    }
  }

  @Test("a file's keys are shown only if they look like keys")
  func keys() throws {
    for text in ["hunter2: x", "\"u:hunter2@h\": 1", "\"hunter2\": {a: 1}", "\"a hunter2\": 1\n\"a hunter2\": 1"] {
      try withFile(text) { path in #expect(!faults(file: path).joined().contains("hunter2"), "\(faults(file: path))") }
    }
  }
}

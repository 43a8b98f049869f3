import Foundation
import Primitives
import Reviews
import Settings
import Telemetry
import Testing

let key32 = Data(repeating: 7, count: 32).base64EncodedString()
let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\n-----END RSA PRIVATE KEY-----\n"

/// Writes a file that lives as long as the body.
func withFile<Output>(_ text: String, suffix: String = "yaml", _ body: (String) throws -> Output) throws -> Output {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).\(suffix)")
  try Data(text.utf8).write(to: url)
  defer { try? FileManager.default.removeItem(at: url) }
  return try body(url.path)
}

func faults(
  flags: [String: String] = [:], environment: [String: String] = [:], file: String? = nil
) -> [String] {
  do throws(SettingsError) {
    _ = try Settings.load(flags: flags, environment: environment, file: file)
    return []
  } catch {
    return error.faults
  }
}

@Suite("Settings")
struct SettingsTests {
  @Test("without anything given, the documented defaults hold")
  func defaults() throws {
    let settings = try Settings.load(flags: [:], environment: [:], file: nil)
    #expect(settings.databasePool == 4 && settings.prefetch == 256 && settings.maxAttempts == 8)
    #expect(settings.queue == "baton.reviews" && settings.maxQueueDepth == 1000 && settings.ownerLimit == 20)
    #expect(settings.pollInterval == .seconds(5) && settings.heartbeatTimeout == .seconds(15))
    #expect(settings.leaseDuration == .seconds(60) && settings.publishGrace == .seconds(15))
    #expect(settings.staleAfter == .seconds(300) && settings.runningTimeout == .seconds(1800))
    #expect(settings.retryBase == .seconds(2) && settings.retryMax == .seconds(300))
    #expect(settings.workerTimeout == .seconds(10) && settings.drainTimeout == .seconds(30))
    #expect(settings.httpHost == "127.0.0.1" && settings.httpPort == 8080 && settings.metricsPort == nil)
    #expect(settings.callbackURL == "http://127.0.0.1:8080" && settings.githubAPIURL == "https://api.github.com")
    #expect(settings.gitlabHosts == ["gitlab.com"] && settings.workerState == "./baton-worker.sqlite")
    #expect(settings.agentVersion == nil && settings.agentVersionPercent == 100 && settings.posthogURL == nil)
    #expect(settings.logFormat == .text && settings.logLevel == .info)
    #expect(settings.databaseURL == nil && settings.amqpURLs.isEmpty && settings.encryptionKey == nil)
    #expect(settings.warnings.isEmpty && settings.given.isEmpty)
  }

  @Test("flags win over the environment, which wins over the file; an empty variable is none")
  func precedence() throws {
    try withFile("prefetch: 1\nqueue: file\nowner_limit: 1\nlease: 1\n") { path in
      let settings = try Settings.load(
        flags: ["prefetch": "3"],
        environment: ["BATON_PREFETCH": "2", "BATON_QUEUE": "environment", "BATON_OWNER_LIMIT": ""], file: path)
      #expect(settings.prefetch == 3 && settings.queue == "environment" && settings.ownerLimit == 1)
      #expect(settings.heartbeatTimeout == .seconds(1))
      #expect(settings.given == ["prefetch", "queue", "owner_limit", "lease"])
    }
  }

  @Test("a variable of OpenTelemetry gives what nothing of Baton's own gives, and a fault names it")
  func standardVariables() throws {
    let standard = [
      "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/", "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=a%20b,z=c",
      "OTEL_TRACES_SAMPLER_ARG": "0.25",
    ]
    let settings = try Settings.load(flags: [:], environment: standard, file: nil)
    #expect(settings.otlpEndpoint == "http://collector:4318" && settings.traceRatio == 0.25)
    #expect(settings.otlpHeaders.map { "\($0.name)=\($0.value.reveal())" } == ["x-key=a b", "z=c"])
    #expect(settings.secretTexts.map { $0.reveal() }.contains("a b"))
    let own = try Settings.load(
      flags: ["trace_ratio": "1"], environment: standard.merging(["BATON_OTLP_ENDPOINT": "off"]) { $1 }, file: nil)
    #expect(own.otlpEndpoint == nil && own.traceRatio == 1)
    let faults = faults(environment: ["OTEL_TRACES_SAMPLER_ARG": "2", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2"])
    #expect(faults.count == 2 && faults.contains { $0.contains("OTEL_TRACES_SAMPLER_ARG") && $0.contains("0 to 1") })
    #expect(!faults.joined().contains("hunter2"))
  }

  @Test(
    "YAML and JSON files say the same",
    arguments: [
      "metrics_port: 9464\ngitlab_hosts: [a.example, B.example]\nworker_url: null\npoll_interval: 0.5\nqueue: q # why\n",
      "{\n\t\"metrics_port\": 9464,\n\t\"gitlab_hosts\": [\"a.example\", \"B.example\"],\n\t\"worker_url\": null,\n"
        + "\t\"poll_interval\": 0.5, \"queue\": \"q\"}",
    ])
  func files(text: String) throws {
    try withFile(text) { path in
      let settings = try Settings.load(flags: [:], environment: [:], file: path)
      #expect(settings.metricsPort == 9464 && settings.gitlabHosts == ["a.example", "b.example"])
      #expect(settings.workerURL == nil && settings.pollInterval == .milliseconds(500) && settings.queue == "q")
    }
  }

  @Test(
    "a duration is a number with a unit, or of seconds",
    arguments: [
      ("250ms", Duration.milliseconds(250)), ("10s", .seconds(10)), ("5m", .seconds(300)), ("1h", .seconds(3600)),
      ("90d", .seconds(7_776_000)), ("15", .seconds(15)), ("1.5s", .milliseconds(1500)), ("0", .zero),
    ])
  func durations(text: String, expected: Duration) {
    #expect(Settings.duration(text) == expected)
  }

  @Test(
    "what is no duration is none",
    arguments: ["", "s", "10 s", "10x", "1h30m", "--1", "1e3", ".", "nan", "9999999999999999d"])
  func noDurations(text: String) {
    #expect(Settings.duration(text) == nil)
  }

  @Test("the callback URL follows host and port unless it is given")
  func callbackURL() throws {
    func url(_ environment: [String: String]) throws -> String {
      try Settings.load(flags: [:], environment: environment, file: nil).callbackURL
    }
    #expect(try url(["BATON_HTTP_HOST": "10.0.0.1", "BATON_HTTP_PORT": "80"]) == "http://10.0.0.1:80")
    #expect(try url(["BATON_HTTP_HOST": "0.0.0.0"]) == "http://127.0.0.1:8080")
    #expect(try url(["BATON_HTTP_HOST": "::1"]) == "http://[::1]:8080")
    #expect(try url(["BATON_CALLBACK_URL": "https://x.example/baton/"]) == "https://x.example/baton")
  }

  @Test("the secrets are all found, with the passwords within URLs and the lines of a key")
  func secretTexts() throws {
    let settings = try Settings.load(
      flags: ["github_private_key": pem],
      environment: [
        "BATON_DATABASE_URL": "postgres://u:p%40ss-4711@h/d",
        "BATON_AMQP_URL": "amqp://u:one-4711@a,amqp://u:two-4711@b",
        "BATON_ENCRYPTION_KEY": key32, "BATON_WORKER_TOKEN": "worker-4711", "BATON_CALLBACK_SECRET": "callback-4711",
        "BATON_API_TOKEN": "api-token-of-4711-bytes", "BATON_GITHUB_WEBHOOK_SECRET": "hook-secret-4711",
        "BATON_GITLAB_WEBHOOK_SECRET": "lab-secret-4711", "BATON_POSTHOG_URL": "https://h",
        "BATON_POSTHOG_KEY": "phc-4711",
      ], file: nil)
    let texts = settings.secretTexts.map { $0.reveal() }
    for text in [
      "p%40ss-4711", "p@ss-4711", "one-4711", "two-4711", key32, "worker-4711", "callback-4711",
      "api-token-of-4711-bytes", "hook-secret-4711", "lab-secret-4711", "phc-4711",
    ] { #expect(texts.contains(text), "\(text)") }
    let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.map(String.init)
    #expect(!lines.isEmpty && lines.allSatisfy { texts.contains($0) })
    #expect(!texts.contains { $0.hasPrefix("-----BEGIN") && !$0.contains("\n") })
    let conninfo = try Settings.load(
      flags: [:], environment: ["BATON_DATABASE_URL": "host=h password='it is 4711' user=u"], file: nil)
    #expect(conninfo.secretTexts.contains(Secret("it is 4711")))
  }

  @Test("private keys come as text, with escaped line ends, or from a file")
  func privateKeys() throws {
    func key(_ text: String) throws -> String? {
      try Settings.load(flags: ["github_private_key": text], environment: [:], file: nil).githubPrivateKey?.reveal()
    }
    let trimmed = pem.trimmingCharacters(in: .newlines)
    #expect(try key(pem) == trimmed)
    #expect(try key(pem.replacing("\n", with: "\\n")) == pem)
    let fromFile = try withFile(pem, suffix: "pem") { path in try key("@\(path)") }
    #expect(fromFile == trimmed)
  }

  @Test("lists of brokers and the encryption key become what their users need")
  func typed() throws {
    let settings = try Settings.load(
      flags: [:],
      environment: ["BATON_AMQP_URL": "amqp://u:p@h1:5672, amqps://h2/v", "BATON_ENCRYPTION_KEY": key32], file: nil)
    #expect(settings.amqpURLs.map { $0.reveal() } == ["amqp://u:p@h1:5672", "amqps://h2/v"])
    #expect(settings.revealEncryptionKeys() == [Array(repeating: 7, count: 32)])
  }

  @Test("unknown variables are a warning that names the nearest; the tests' own and others' are not looked at")
  func unknownVariables() throws {
    let settings = try Settings.load(
      flags: [:], environment: ["BATON_PREFECH": "1", "BATON_TEST_AMQP_URL": "x", "HOME": "/"], file: nil)
    #expect(settings.warnings.count == 1)
    #expect(settings.warnings[0].contains("BATON_PREFECH ") && settings.warnings[0].contains("BATON_PREFETCH"))
  }

  @Test("pairs of values that defeat each other are a warning")
  func pairs() throws {
    let settings = try Settings.load(
      flags: ["retry_max": "1s"], environment: [:], file: nil)
    #expect(settings.warnings.count == 1)
  }

  @Test("a lease outlasts the call to the worker: the time that is not given follows the one that is")
  func leaseAndCall() throws {
    let patient = try Settings.load(flags: ["worker_timeout": "10m"], environment: [:], file: nil)
    #expect(patient.workerTimeout == .seconds(600) && patient.leaseDuration == .seconds(650))
    let hasty = try Settings.load(flags: ["prepare_timeout": "5s"], environment: [:], file: nil)
    #expect(hasty.workerTimeout == .seconds(2.5) && hasty.leaseDuration == .seconds(5))
    let both = try Settings.load(
      flags: ["prepare_timeout": "9s"], environment: ["BATON_WORKER_TIMEOUT": "8s"], file: nil)
    #expect(both.workerTimeout == .seconds(8) && both.leaseDuration == .seconds(9))
  }

  @Test("a lease that would run out under every call to the worker is refused, with both settings named")
  func leaseWithinCall() {
    for call in ["60s", "2m"] {
      let error = #expect(throws: SettingsError.self) {
        try Settings.load(flags: ["prepare_timeout": "1m"], environment: ["BATON_WORKER_TIMEOUT": call], file: nil)
      }
      let fault = error?.faults.first ?? ""
      #expect(fault.contains("BATON_PREPARE_TIMEOUT (60s)") && fault.contains("BATON_WORKER_TIMEOUT"), "\(fault)")
    }
  }

  @Test("only this machine's own addresses are loopback")
  func loopback() {
    for host in ["127.0.0.1", "127.1.2.3", "localhost", "::1"] { #expect(Settings.isLoopback(host)) }
    for host in ["0.0.0.0", "10.0.0.1", "127.evil.example.com", "::", "example.com", ""] {
      #expect(!Settings.isLoopback(host))
    }
  }
}

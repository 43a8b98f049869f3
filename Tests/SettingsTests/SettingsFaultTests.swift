import Foundation
import Primitives
import Reviews
import Settings
import Testing

@Suite("Faults of settings")
struct SettingsFaultTests {
  @Test(
    "a wrong value is a fault that names the variable and a right value",
    arguments: [
      ("http_port", "0"), ("http_port", "65536"), ("http_port", "http"), ("metrics_port", "-1"), ("prefetch", "0"),
      ("prefetch", "65536"), ("prefetch", "12x"), ("database_pool", "0"), ("max_attempts", "0"), ("owner_limit", "-3"),
      ("lease", "0"), ("lease", "soon"), ("poll_interval", "-1s"), ("retry_base", "-1"), ("drain_timeout", "99999d"),
      ("worker_url", "ftp://x"), ("worker_url", "http://"), ("worker_url", "http://h:99999"),
      ("worker_url", "http://a b/"), ("worker_url", "http://u:hunter2@h/"), ("worker_url", "http://h/?a=b"),
      ("github_api_url", "api.github.com"), ("callback_url", "http://[::1"), ("amqp_url", "http://x"),
      ("amqp_url", "amqp://u:hunter2@"), ("amqp_url", ","), ("database_url", "mysql://u:hunter2@h/db"),
      ("database_url", "postgres://u:hunter2@h/d?schema=public"), ("database_url", "postgres://u:hunter2@h:abc/d"),
      ("database_url", "postgres://u:hunter2@h/d?sslmode=requird"), ("database_url", "postgres://u:x/hunter2@h/d"),
      ("database_url", "postgres://u:x@hunter2@h/d"), ("database_url", "postgres://u:5/hunter2@h/d"),
      ("amqp_url", "amqp://u:hunter2@h:abc"), ("amqp_url", "amqp://u:hunter2%zz@h"), ("amqp_url", "ampq://u:hunter2@h"),
      ("amqp_url", "amqp://u:hunter2@h?heartbeat=0"), ("amqp_url", "amqps://u:hunter2@h?verify=verify_none"),
      ("amqp_url", "amqp://u:hunter2@h?colour=blue"), ("ca_file", "/nowhere/ca.pem"), ("ca_file", "/dev/null"),
      ("github_api_url", "http://github.example.com"), ("github_api_url", "http://127.0.0.1.example.com"),
      ("amqp_url", "amqp://u:5/hunter2@h"),
      ("amqp_url", "amqp://ok,amqp://u:x/hunter2@h"), ("worker_url", "http://u:x/hunter2@h/"),
      ("worker_url", "http://u:5/hunter2@h/"), ("callback_url", "http://h/%zz"), ("worker_token", "hunter2\u{1}x"),
      ("github_api_url", "https://u:hunter2@h/"),
      ("database_url", "hunter2"), ("encryption_key", "hunter2"), ("encryption_key", "aHVudGVyMg=="),
      ("github_private_key", "hunter2"), ("github_private_key", "@/nowhere/key.pem"), ("github_app_id", "1 2"),
      ("worker_token", " "), ("api_token", "hunter2-hunter2\nhunter2"),
      ("api_token", "hunter2"), ("api_token", "hunter2-hunter2-hunter2,hunter2"), ("read_token", "hunter2hunter2x"),
      ("api_token", "hunter2-hunter2-hunter2,"), ("trusted_proxies", "nginx"), ("trusted_proxies", "10.0.0.1,"),
      ("trusted_proxies", "0.0.0.0/0"), ("trusted_proxies", "::/0"), ("trusted_proxies", "10.0.0.0/33"),
      ("trusted_proxies", "10.0.0.0/"), ("trusted_proxies", "10.0.0"),
      ("gitlab_hosts", "https://gitlab.com"), ("gitlab_hosts", ""),
      ("http_host", "http://x"), ("http_host", ""), ("log_format", "xml"), ("log_level", "loud"), ("queue", ""),
      ("queue", "amq.x"), ("queue", String(repeating: "q", count: 256)), ("agent_command", ""), ("agent_version", " "),
      ("agent_environment", "A,,B"), ("agent_environment", "*"), ("agent_environment", "A*B"),
      ("agent_environment", "1A"),
      ("agent_environment", "A=B"), ("agent_environment", "BATON_WORKER_TOKEN"), ("agent_environment", "BA*"),
      ("agent_isolation", "container"), ("agent_users", "0-9"), ("agent_users", "9"), ("agent_users", "9-8"),
      ("agent_users", "1-4294967295"), ("agent_users", "a-b"),
      ("agent_version_percent", "101"), ("agent_version_percent", "-1"), ("agent_version_percent", "half"),
    ])
  func wrongValues(key: String, value: String) throws {
    let faults = faults(flags: [key: value])
    #expect(faults.count == 1, "\(faults)")
    let fault = try #require(faults.first)
    #expect(fault.contains("BATON_\(key.uppercased()) (--\(key.replacing("_", with: "-")))"))
    #expect(fault.contains("a right value is "))
    let isSecret = try #require(Settings.definitions.first { $0.key.name == key }).isSecret
    if isSecret { #expect(!fault.contains("hunter2"), "\(fault)") }
    if value.contains("@") { #expect(!fault.contains("hunter2"), "\(fault)") }
  }

  @Test(
    "right values at the edges are none",
    arguments: [
      ("http_port", "65535"), ("prefetch", "1"), ("retry_base", "0"), ("drain_timeout", "0"), ("metrics_port", "off"),
      ("worker_url", "http://worker.example:8090/a/b"), ("worker_url", "https://[::1]:8090"),
      ("database_url", "host=db dbname=baton"), ("database_url", "postgresql:///baton?host=/run/postgresql"),
      ("amqp_url", "amqps://u:p%2F@h/%2F"), ("amqp_url", "amqp://u@h?heartbeat=5&connection_timeout=10000"),
      ("github_api_url", "http://127.0.0.1:8081"), ("github_api_url", "http://[::1]:8081"),
      ("gitlab_hosts", "gitlab.com, git.example.com:8443"),
      ("github_app_id", "Iv1.8a61f9b3a7aba766"), ("http_host", "::"), ("log_level", "WARNING"),
      ("agent_environment", "JAVA_HOME, ANTHROPIC_*,_x"), ("agent_isolation", "Namespaces"),
      ("agent_users", "70000-70009"),
      ("encryption_key", key32), ("api_token", "sixteen-bytes-ok,another-sixteen!"),
      ("trusted_proxies", "10.0.0.7, fd00::/8,127.0.0.0/8"), ("agent_version_percent", "0"),
      ("agent_version_percent", "100"),
    ])
  func rightValues(key: String, value: String) {
    #expect(faults(flags: [key: value]) == [])
  }

  @Test("white space at the ends of a value does not count, whatever the setting and its source")
  func whiteSpace() throws {
    try withFile("queue: \" reviews \"\n") { path in
      let settings = try Settings.load(
        flags: ["worker_token": "hunter2\n", "prefetch": " 7 "],
        environment: [
          "BATON_DATABASE_URL": "postgres://u@h/d\n", "BATON_AMQP_URL": " amqp://h \n",
          "BATON_ENCRYPTION_KEY": "\(key32)\r\n",
          "BATON_WORKER_URL": "http://h/\n", "BATON_API_TOKEN": "\n", "BATON_LEASE": "9s\n",
        ], file: path)
      #expect(settings.databaseURL?.reveal() == "postgres://u@h/d")
      #expect(settings.amqpURLs.map { $0.reveal() } == ["amqp://h"])
      #expect(settings.workerToken?.current.reveal() == "hunter2" && settings.workerURL == "http://h")
      #expect(
        settings.revealEncryptionKeys().first?.count == 32 && settings.prefetch == 7 && settings.queue == "reviews")
      #expect(settings.heartbeatTimeout == .seconds(9) && settings.apiToken == nil)
    }
  }

  @Test(
    "a header that names the person counts only with the proxies that may send it, and is none that carries a secret")
  func actorHeader() throws {
    let fault = try #require(faults(flags: ["actor_header": "X-Forwarded-User"]).first)
    #expect(fault == "BATON_TRUSTED_PROXIES is missing, as BATON_ACTOR_HEADER is set")
    #expect(faults(flags: ["actor_header": "X-Forwarded-User", "trusted_proxies": "10.0.0.7"]) == [])
    for name in ["", "X Forwarded", "X-Forwarded-User:", "Authorization", "cookie", "X-Internal-Secret"] {
      #expect(faults(flags: ["actor_header": name, "trusted_proxies": "10.0.0.7"]).count == 1, "\(name)")
    }
  }

  @Test("no token stands in both lists, where it would act although it should only read")
  func sharedToken() throws {
    let tokens = ["api_token": "new-new-new-new-new,old-old-old-old-old", "read_token": "old-old-old-old-old"]
    let fault = try #require(faults(flags: tokens).first)
    #expect(fault.contains("BATON_READ_TOKEN") && !fault.contains("old-old"))
  }

  @Test("PostHog's address and its key are given together")
  func posthog() {
    #expect(faults(flags: ["posthog_url": "https://eu.i.posthog.com"]).first?.contains("BATON_POSTHOG_KEY") == true)
    #expect(faults(flags: ["posthog_key": "phc_hunter2"]).first?.contains("BATON_POSTHOG_URL") == true)
    #expect(faults(flags: ["posthog_url": "https://eu.i.posthog.com", "posthog_key": "phc_hunter2"]) == [])
  }

  @Test("all faults of all sources come in one message")
  func all() throws {
    try withFile("prefetsh: 1\nowner_limit: many\nlease: [[1]]\n") { path in
      let nested = faults(flags: ["http_port": "x"], environment: ["BATON_PREFETCH": "y"], file: path)
      #expect(nested.count == 3)
    }
    try withFile("prefetsh: 1\nowner_limit: many\n") { path in
      let faults = faults(
        flags: ["http_port": "x", "nonsense": "1"], environment: ["BATON_PREFETCH": "y"], file: path)
      #expect(faults.count == 5)
      let text = SettingsError(faults: faults).description
      #expect(text.hasPrefix("5 settings are missing or wrong:\n"))
      #expect(text.contains("prefetsh; the nearest known one is prefetch"))
      #expect(text.contains("BATON_OWNER_LIMIT (`owner_limit` in the configuration file): \"many\""))
      #expect(text.contains("BATON_PREFETCH: \"y\" is not a whole number"))
    }
  }

  @Test("a file that cannot be read, is no map, or names a key twice is a fault without the file's text")
  func files() throws {
    #expect(faults(file: "/nowhere/baton.yaml")[0].contains("/nowhere/baton.yaml: cannot be read"))
    for text in [
      "- worker_token: hunter2", "hunter2", "worker_token: \"hunter2", "{\"worker_token\": hunter2",
      "worker_token: hunter2\nworker_token: hunter2\n", "worker_token: {hunter2: 1}",
    ] {
      try withFile(text) { path in
        let faults = faults(file: path)
        #expect(faults.count == 1 && faults[0].contains(path), "\(text)")
        #expect(!faults.joined().contains("hunter2"), "\(faults)")
      }
    }
    try withFile("") { path in #expect(faults(file: path) == []) }
  }

  @Test("one message names everything that a role lacks")
  func require() throws {
    let environment = ["BATON_WORKER_URL": "http://w"]
    let keys: [Settings.Key] = [
      .databaseURL, .amqpURL, .workerURL, .workerToken, .encryptionKey, "prefetch", "callback_url",
    ]
    let error = #expect(throws: SettingsError.self) {
      try Settings.load(flags: [:], environment: environment, file: nil, requiring: keys)
    }
    let names = error?.faults.map { String($0.prefix { $0 != " " }) }
    #expect(names == ["BATON_DATABASE_URL", "BATON_AMQP_URL", "BATON_WORKER_TOKEN", "BATON_ENCRYPTION_KEY"])
    _ = try Settings.load(flags: [:], environment: environment, file: nil, requiring: [.workerURL, "queue"])
  }

  @Test("what is missing, what is wrong and what does not fit together stand in one message")
  func allAtOnce() throws {
    let error = #expect(throws: SettingsError.self) {
      try Settings.load(
        flags: [:], environment: ["BATON_PREFETCH": "x"], file: nil, requiring: [.databaseURL, "prefetch"]
      ) { _ in ["BATON_GITHUB_APP_ID is missing, as BATON_GITHUB_PRIVATE_KEY is set"] }
    }
    let names = error?.faults.map { String($0.prefix { $0 != " " && $0 != ":" }) }
    #expect(names == ["BATON_PREFETCH", "BATON_GITHUB_APP_ID", "BATON_DATABASE_URL"])
  }

  @Test("printed settings show no secret")
  func printing() throws {
    var environment = [
      "BATON_DATABASE_URL": "postgres://u:hunter2@h/d", "BATON_AMQP_URL": "amqp://u:hunter2@h",
      "BATON_ENCRYPTION_KEY": key32, "BATON_GITHUB_PRIVATE_KEY": pem, "BATON_POSTHOG_URL": "https://h",
    ]
    for name in Settings.definitions where name.isSecret && environment[name.variable] == nil {
      environment[name.variable] = "hunter2"
    }
    environment["BATON_API_TOKEN"] = "hunter2-hunter2-hunter2,hunter2-hunter2-former"
    environment["BATON_OTLP_HEADERS"] = "x-api-key=hunter2"
    environment["BATON_READ_TOKEN"] = "hunter2-hunter2-reader"
    let settings = try Settings.load(flags: [:], environment: environment, file: nil)
    var text = "\(settings)" + String(reflecting: settings)
    dump(settings, to: &text)
    #expect(!text.contains("hunter2") && !text.contains(key32))
    #expect(settings.workerToken?.current.reveal() == "hunter2")
  }
}

@Suite("The table of settings")
struct SettingsTableTests {
  /// The variables and defaults that other programs rely on.
  static let promised: [String: String] = [
    "DATABASE_URL": "—", "DATABASE_POOL": "4", "AMQP_URL": "—", "QUEUE": "baton.reviews", "MAX_QUEUE_DEPTH": "1000",
    "OWNER_LIMIT": "20", "POLL_INTERVAL": "5s", "PREFETCH": "256", "LEASE": "15s", "PREPARE_TIMEOUT": "60s",
    "PUBLISH_GRACE": "15s", "STALE_AFTER": "5m", "RUNNING_TIMEOUT": "30m", "MAX_ATTEMPTS": "8", "RETRY_BASE": "2s",
    "RETRY_MAX": "5m", "WORKER_URL": "—", "WORKER_TOKEN": "—", "WORKER_TIMEOUT": "10s", "HTTP_HOST": "127.0.0.1",
    "HTTP_PORT": "8080", "METRICS_HOST": "127.0.0.1", "METRICS_PORT": "off", "API_TOKEN": "—",
    "READ_TOKEN": "—", "TRUSTED_PROXIES": "—", "ACTOR_HEADER": "—", "CALLBACK_SECRET": "—",
    "CALLBACK_URL": "from host and port", "ENCRYPTION_KEY": "—", "GITHUB_API_URL": "https://api.github.com",
    "GITHUB_APP_ID": "—", "GITHUB_PRIVATE_KEY": "—", "GITHUB_WEBHOOK_SECRET": "—", "GITLAB_WEBHOOK_SECRET": "—",
    "GITLAB_HOSTS": "gitlab.com", "DRAIN_TIMEOUT": "30s", "DRAIN_DELAY": "5s", "AGENT_COMMAND": "—",
    "WORKER_STATE": "./baton-worker.sqlite", "WORKER_LOST_RUNS": "fail", "AGENT_ENVIRONMENT": "—",
    "AGENT_ISOLATION": "off", "AGENT_USERS": "—", "AGENT_VERSION": "—",
    "AGENT_VERSION_PERCENT": "100", "POSTHOG_URL": "—", "POSTHOG_KEY": "—", "LOG_FORMAT": "text", "LOG_LEVEL": "info",
    "CA_FILE": "—", "AMQP_CERT_FILE": "—", "AMQP_KEY_FILE": "—",
    "CATCH_UP_INTERVAL": "5m", "CATCH_UP_AGE": "0", "GITHUB_PROVISION": "off", "PUBLIC_URL": "—",
    "REVIEW_COMMAND": "/review",
    "REVIEW_LABEL": "off", "EVENT_HOSTS": "—", "OTLP_ENDPOINT": "off", "OTLP_HEADERS": "—", "TRACE_RATIO": "1",
  ]

  @Test("variables and defaults are the documented ones, each once")
  func names() {
    let names = Settings.definitions
    #expect(Set(names.map(\.key)).count == names.count)
    let defaults = Dictionary(uniqueKeysWithValues: names.map { (String($0.variable.dropFirst(6)), $0.default) })
    #expect(defaults == Self.promised)
  }

  @Test("the Markdown table and the help list have a row for each")
  func rendered() {
    #expect(Settings.markdownTable.split(separator: "\n").count == Settings.definitions.count + 2)
    #expect(Settings.help.split(separator: "\n").count == Settings.definitions.count)
    #expect(Settings.markdownTable.contains("| `BATON_LEASE` | `15s` | heartbeat timeout: a consumer without"))
    for name in Settings.definitions {
      #expect(Settings.markdownTable.contains("| `\(name.variable)` |") && Settings.help.contains(name.variable))
      #expect(!name.meaning.contains("|") && !name.meaning.isEmpty)
    }
  }
}

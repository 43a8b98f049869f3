import Testing

@testable import AMQPClient

@Suite("AMQP URLs")
struct EndpointTests {
  static let validURLs: [(String, AMQPEndpoint)] = [
    ("amqp://broker", AMQPEndpoint(host: "broker")),
    ("amqp://broker/", AMQPEndpoint(host: "broker")),
    ("amqps://broker", AMQPEndpoint(scheme: .amqps, host: "broker", port: 5671)),
    ("AMQP://u:p@h:5673/v", AMQPEndpoint(host: "h", port: 5673, user: "u", password: "p", virtualHost: "v")),
    ("amqp://u@h", AMQPEndpoint(host: "h", user: "u")),
    ("amqp://u:@h", AMQPEndpoint(host: "h", user: "u", password: "")),
    ("amqp://u%40x:p%3Aq%2F@h/%2Fv", AMQPEndpoint(host: "h", user: "u@x", password: "p:q/", virtualHost: "/v")),
    ("amqp://u:p@w@h", AMQPEndpoint(host: "h", user: "u", password: "p@w")),
    ("amqp://[::1]:5673", AMQPEndpoint(host: "::1", port: 5673)),
    ("amqp://[::1]", AMQPEndpoint(host: "::1")),
  ]

  @Test("a URL gives scheme, host, port, account and virtual host", arguments: validURLs)
  func valid(url: String, endpoint: AMQPEndpoint) throws {
    #expect(try AMQPEndpoint(url: url) == endpoint)
  }

  static let invalidURLs: [(String, String)] = [
    ("http://h", "amqp://"), ("h:5672", "amqp://"), ("amqp://", "host"), ("amqp://u:s3cret@", "host"),
    ("amqp://u:s3cret@h:0", "port"), ("amqp://u:s3cret@h:x", "port"), ("amqp://u:s3cret@h:70000", "port"),
    ("amqp://u:s3cret%zz@h", "password"), ("amqp://u:s3cret%@h", "password"), ("amqp://u:s3cret@h/a/b", "%2F"),
    ("amqp://u:s3cret@h?colour=1", "'colour'"), ("amqp://:s3cret@h", "user name"),
    ("amqp://u:x/s3cret@h", "'/'"), ("amqp://u:5672/s3cret@h", "'/'"), ("amqp://u:s3#cret@h", "'#'"),
    ("amqp://u:x?s3cret@h", "%3F"), ("amqp://u:x?a=s3cret@h", "%3F"), ("amqps://u@h?s3cret=1", "name not shown"),
    ("amqps://h?verify=verify_none", "verify_none is refused"), ("amqps://h?verify=s3cret", "verify"),
    ("amqp://h?cacertfile=/a", "cacertfile needs TLS"), ("amqp://h?certfile=/a", "certfile needs TLS"),
    ("amqp://h?auth_mechanism=external", "needs TLS"), ("amqps://h?auth_mechanism=s3cret", "auth_mechanism"),
    ("amqps://h?server_name_indication=disable", "refused"), ("amqps://h?server_name_indication=a/b", "host name"),
    ("amqps://h?cacertfile=", "cacertfile is empty"), ("amqp://h?heartbeat=0", "heartbeat"),
    ("amqp://h?heartbeat=x", "heartbeat"),
    ("amqp://h?connection_timeout=0", "connection_timeout"), ("amqp://h?channel_max=2", "channel_max"),
    ("amqps://h?fail_if_no_peer_cert=false", "fail_if_no_peer_cert"),
    ("amqp://u:s3cret@h h", "white space"), ("amqp://u:s3cret@h\n", "white space"), ("amqp://u:s3cret@h|/", "host"),
    ("ampq://u:s3cret@h", "amqp://"),
    ("amqp://u:s3cret@[::1", "]"), ("amqp://u:s3cret@h/%ff", "virtual host"),
  ]

  @Test("a fault names the part that is wrong and never shows the password", arguments: invalidURLs)
  func invalid(url: String, part: String) throws {
    let error = try #require(throws: AMQPError.self) { try AMQPEndpoint(url: url) }
    #expect(error.description.contains(part))
    #expect(!error.description.contains("s3cret"))
    #expect(error.isPermanent && error.scope == .configuration)
  }

  @Test("a list is read in its order, and a fault says which one is wrong")
  func list() throws {
    let configuration = try AMQPConfiguration(urls: "amqp://a, amqps://b", connectionName: "n")
    #expect(configuration.endpoints.map(\.host) == ["a", "b"])
    let error = try #require(throws: AMQPError.self) {
      try AMQPConfiguration(urls: "amqp://a,amqp://b:x", connectionName: "n")
    }
    #expect(error.description.contains("number 2 of 2"))
    #expect(throws: AMQPError.self) { try AMQPConfiguration(urls: "", connectionName: "n") }
  }

  @Test("no description and no dump of an endpoint shows the password")
  func redacted() {
    let endpoint = AMQPEndpoint(host: "h", user: "u", password: "s3cret", virtualHost: "v")
    var dumped = ""
    dump(endpoint, to: &dumped)
    for text in ["\(endpoint)", String(reflecting: endpoint), dumped] { #expect(!text.contains("s3cret")) }
    #expect("\(endpoint)" == "amqp://u@h:5672/v")
  }

  @Test("RabbitMQ's parameters are read, and win over the configuration for their endpoint alone")
  func parameters() throws {
    let url =
      "amqps://h/v?cacertfile=/a%20b.pem&certfile=/c.pem&keyfile=/k.pem&verify=verify_peer&server_name_indication=other"
      + "&auth_mechanism=external&auth_mechanism=plain&heartbeat=7&connection_timeout=2500&channel_max=64"
    var configuration = try AMQPConfiguration(urls: "\(url),amqps://g", connectionName: "n")
    configuration.tls.authorityFile = "/ca.pem"
    let endpoint = configuration.endpoints[0]
    #expect(endpoint.host == "h" && endpoint.virtualHost == "v" && endpoint.certificateName == "other")
    #expect(endpoint.parameters.mechanism == .external && endpoint.parameters.channelMax == 64)
    #expect(endpoint.user.isEmpty && "\(endpoint)" == "amqps://h:5671/v")
    let own = configuration.applying(endpoint.parameters)
    #expect(own.tls.authorityFile == "/a b.pem" && own.tls.certificateFile == "/c.pem" && own.tls.keyFile == "/k.pem")
    #expect(own.heartbeat == .seconds(7) && own.connectTimeout == .milliseconds(2500))
    let other = configuration.applying(configuration.endpoints[1].parameters)
    #expect(other.tls.authorityFile == "/ca.pem" && other.tls.certificateFile == nil && other.heartbeat == .seconds(10))
  }

  @Test("files that an endpoint needs and that cannot be used are named before anything connects")
  func files() throws {
    func fault(_ url: String) throws -> String? {
      let configuration = try AMQPConfiguration(urls: url, connectionName: "n")
      return configuration.certificateFault(of: configuration.endpoints[0])
    }
    #expect(try fault("amqp://h") == nil)
    #expect(try fault("amqps://h?cacertfile=/nowhere.pem")?.contains("/nowhere.pem cannot be read") == true)
    #expect(try fault("amqps://h?certfile=/nowhere.pem&keyfile=/k")?.contains("/nowhere.pem cannot be read") == true)
    #expect(try fault("amqps://h?auth_mechanism=external")?.contains("needs a client certificate") == true)
  }
}

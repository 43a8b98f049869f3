import Testing

@testable import PostgresClient

@Suite("Connection strings")
struct ConnectionStringTests {
  static let faults: [(String, String)] = [
    ("postgresql://me:s3cret@h/d?schema=public", "'schema'"), ("postgresql://me:s3cret@h/d?sslmode=requird", "sslmode"),
    ("postgresql://me:s3cret@h:abc/d", "port"), ("postgresql://me:s3cret@h:0/d", "port"),
    ("postgresql://me:s3cret@h:70000/d", "port"), ("postgresql://me:s3/cret@h/d", "'/'"),
    ("postgresql://me:5432/s3cret@h/d", "'/'"), ("postgresql://me:x@s3cret@h/d", "'@'"),
    ("postgresql://me:x#s3/cret@h/d", "'#'"), ("postgresql://me:s3cret%zz@h/d", "%25"),
    ("postgresql://me:x@y?s3cret=z@h/d", "name not shown"), ("postgresql://me:s3cret@h/d?x", "keyword=value"),
    ("postgresql://me:s3cret@[::1/d", "IPv6"), ("postgresql://me:s3cret@h/d\nx", "line break"),
    ("postgresql://me:s3cret@a,b/d?target_session_attrs=writable", "read-write"),
    ("postgresql://me:s3cret@a,b:1,c/d?connect_timeout=soon", "connect_timeout"),
    ("mysql://me:s3cret@h/d", "neither"), ("s3cret", "neither"), ("", "neither"),
    ("host=h password=a s3cret", "'='"), ("host=h password='s3cret", "quote"),
    ("host=h password=x s3cret=1", "name not shown"), ("host=h prot=1", "'prot'"),
    ("host=a,b port=1,2,3 password=s3cret", "3 ports for 2 hosts"), ("host=h port=s3cret", "port"),
    ("host=a,b hostaddr=1.2.3.4", "hostaddr"),
  ]

  @Test("a fault says what is wrong, and no part of a password", arguments: faults)
  func faulty(text: String, reason: String) throws {
    let fault = try #require(PostgresConfiguration.fault(in: text))
    #expect(fault.contains(reason), "\(fault)")
    #expect(!fault.contains("s3") && !fault.contains("cret"), "\(fault)")
    let configuration = PostgresConfiguration(conninfo: text, applicationName: "test")
    #expect(!"\(configuration)".contains("cret"))
    let error = try #require(throws: PostgresError.self) { _ = try configuration.parameters() }
    #expect(error.description.contains(fault) && error.isConnectionStringFault && !error.isTransient)
  }

  @Test(
    "what libpq takes is taken",
    arguments: [
      "postgresql://", "postgres:///d", "postgresql://h", "postgresql://me:p%40s%2Fs@h:5432/d",
      "postgresql://[::1]:1/d",
      "postgresql://%2Frun%2Fpostgresql/d", "postgresql:///d?host=/run/postgresql&port=5433", "host=/run/postgresql",
      "postgresql://a:1,b:2,c/d", "postgresql://me:p?s#s@h/d", "service=baton", "host='' dbname=d",
      "postgresql://h/d?options=-c%20geqo%3Doff&application_name=a@b", "host=h password='a b' connect_timeout=3",
      " postgresql://h/d\n", "postgresql://h/d?target_session_attrs=any&sslmode=verify-full",
    ])
  func accepted(text: String) {
    #expect(PostgresConfiguration.fault(in: text) == nil)
  }

  @Test("white space at the ends does not become a part of the database's name")
  func trimmed() throws {
    let configuration = PostgresConfiguration(conninfo: "\tpostgresql://h/d\r\n", applicationName: "test")
    #expect("\(configuration)" == "postgresql://h:5432/d")
  }

  @Test("sessions are read-write unless the connection string says otherwise")
  func sessions() throws {
    func attributes(_ text: String) throws -> String? {
      try PostgresConfiguration(conninfo: text, applicationName: "test").parameters()
        .last { $0.keyword == "target_session_attrs" }?.value
    }
    #expect(try attributes("postgresql://a,b/d") == "read-write")
    #expect(try attributes("postgresql://a,b/d?target_session_attrs=any") == "any")
  }
}

@Suite("The order of servers")
struct ConnectPlanTests {
  private func plan(_ effective: [String: String]) -> ConnectPlan {
    ConnectPlan(effective, connectTimeout: .seconds(5))
  }

  @Test("hosts, addresses and ports belong together by their places; one port is for all hosts")
  func hosts() {
    let hosts = plan(["host": "a,b,", "hostaddr": ",10.0.0.2,10.0.0.3", "port": "1,,3"]).hosts
    #expect(hosts.map(\.name) == ["a", "b", ""])
    #expect(hosts.map(\.address) == ["", "10.0.0.2", "10.0.0.3"])
    #expect(hosts.map(\.port) == ["1", "", "3"])
    #expect(hosts.map(\.needsLookUp) == [true, false, false])
    #expect(plan(["host": "a,b", "port": "7"]).hosts.map(\.port) == ["7", "7"])
    #expect(plan(["port": "5432"]).hosts.map(\.needsLookUp) == [false])
    #expect(plan(["host": "/run/postgresql"]).hosts.map(\.needsLookUp) == [false])
  }

  @Test(
    "several addresses share the time for TCP, with a second each at least; a time that the string gives is each one's")
  func times() {
    #expect(plan(["host": "a"]).tcpTimeout(addressCount: 1) == .seconds(5))
    #expect(plan(["host": "a,b"]).tcpTimeout(addressCount: 1) == .milliseconds(2_500))
    #expect(plan(["host": "a,b,c"]).tcpTimeout(addressCount: 4) == .seconds(1))
    #expect(plan(["host": "a,b", "connect_timeout": "7"]).tcpTimeout(addressCount: 2) == .seconds(7))
    #expect(plan(["host": "a", "connect_timeout": "1"]).timeout == .seconds(2))
    #expect(plan(["host": "a", "connect_timeout": "0"]).timeout == .seconds(5))
  }

  @Test("a standby that is preferred is looked for at all hosts before any server is taken")
  func rounds() {
    #expect(plan(["target_session_attrs": "prefer-standby"]).rounds == ["standby", "any"])
    #expect(plan(["target_session_attrs": "read-write"]).rounds == ["read-write"])
  }

  @Test("the server that accepted last comes first, among those that are there now")
  func preferred() {
    let preferred = PreferredTarget()
    let hosts = plan(["host": "a,b"]).hosts
    #expect(preferred.ordered(hosts).map(\.name) == ["a", "b"])
    preferred.note(.init(host: hosts[1], address: "10.0.0.2"))
    #expect(preferred.ordered(hosts).map(\.name) == ["b", "a"])
    let found = ["10.0.0.1", "10.0.0.2"].map { ConnectPlan.Target(host: hosts[1], address: $0) }
    #expect(preferred.ordered(found).map(\.address) == ["10.0.0.2", "10.0.0.1"])
    #expect(preferred.ordered([found[0]]).map(\.address) == ["10.0.0.1"])
  }

  @Test("an attempt has one address in place of all that the connection string names")
  func applied() {
    let host = ConnectPlan.Host(name: "b", address: "", port: "2")
    let parameters = ConnectPlan.Target(host: host, address: "10.0.0.2").applied(
      to: [("host", "a,b"), ("hostaddr", "1.1.1.1,2.2.2.2"), ("port", "1,2"), ("dbname", "d")], sessions: "any")
    #expect(parameters.map(\.keyword) == ["dbname", "host", "hostaddr", "port", "target_session_attrs"])
    #expect(parameters.map(\.value) == ["d", "b", "10.0.0.2", "2", "any"])
  }
}

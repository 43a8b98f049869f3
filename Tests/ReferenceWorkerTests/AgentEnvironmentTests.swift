import Testing

@testable import ReferenceWorker

@Suite("Environment of agents")
struct AgentEnvironmentTests {
  private static let worker = [
    "PATH": "/bin", "HOME": "/h", "LANG": "C", "LC_ALL": "C", "TZ": "UTC", "TMPDIR": "/t", "https_proxy": "p",
    "HTTPS_PROXY": "P", "NO_PROXY": "n", "SSL_CERT_FILE": "c", "SSL_CERT_DIR": "d", "PGPASSWORD": "s",
    "PGSERVICEFILE": "s", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "r", "GITHUB_TOKEN": "s", "CI_JOB_TOKEN": "s",
    "BATON_ENCRYPTION_KEY": "s", "BATON_WORKER_TOKEN": "s", "LD_PRELOAD": "s", "NOTIFY_SOCKET": "s", "MODEL_KEY": "m",
    "MODEL_URL": "u", "XLC_A": "s", "Path": "s",
  ]

  @Test("an agent gets what programs need to run, and nothing else")
  func allowed() {
    let names = Set(AgentEnvironment.allowed(of: Self.worker, further: []).keys)
    #expect(
      names == [
        "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "https_proxy", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
        "SSL_CERT_DIR",
      ])
  }

  @Test("a setting names further ones, by the start of their names too; Baton's own are never among them")
  func further() {
    let always = Set(AgentEnvironment.allowed(of: Self.worker, further: []).keys)
    let further = ["MODEL_*", "AWS_REGION", "BATON_WORKER_TOKEN", "BATON_*", "B*", "MISSING"]
    let names = Set(AgentEnvironment.allowed(of: Self.worker, further: further).keys)
    #expect(names.subtracting(always) == ["MODEL_KEY", "MODEL_URL", "AWS_REGION"])
  }
}

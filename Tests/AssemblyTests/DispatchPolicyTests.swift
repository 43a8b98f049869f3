import Dispatching
import Settings
import Testing

@testable import Assembly

@Suite("The policy of dispatching")
struct DispatchPolicyTests {
  @Test("a policy that tests and simulations begin with is that of the settings' defaults")
  func defaults() throws {
    let settings = try Settings.load(flags: [:], environment: [:], file: nil)
    #expect(String(reflecting: DispatchPolicy()) == String(reflecting: DispatchPolicy(settings)))
  }

  @Test("each of its values comes from a setting")
  func values() throws {
    let settings = try Settings.load(
      flags: [
        "queue": "other", "max_queue_depth": "11", "owner_limit": "12", "poll_interval": "13s", "prefetch": "14",
        "lease": "15001ms", "prepare_timeout": "61s", "publish_grace": "16s", "stale_after": "301s",
        "running_timeout": "1801s", "max_attempts": "9", "retry_base": "3s", "retry_max": "301s",
        "worker_timeout": "11s", "drain_timeout": "31s",
      ], environment: [:], file: nil)
    let (own, defaults) = (Mirror(reflecting: DispatchPolicy(settings)), Mirror(reflecting: DispatchPolicy()))
    for (value, usual) in zip(own.children, defaults.children) {
      #expect(String(reflecting: value.value) != String(reflecting: usual.value), "\(value.label ?? "")")
    }
  }
}

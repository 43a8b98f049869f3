import Dispatching
import Testing

@Suite("The times within a lease")
struct LeaseTimesTests {
  @Test(
    "whatever the two settings are, there is time to prepare, and a call begins early enough to end within its lease")
  func times() {
    for lease in [0.1, 1, 5, 15, 60, 600, 7_200] {
      for share in [0.001, 0.1, 0.3, 0.5, 0.9, 0.99] {
        var policy = DispatchPolicy()
        policy.leaseDuration = .seconds(lease)
        policy.workerTimeout = .seconds(lease * share)
        #expect(policy.preparationMax > .zero)
        #expect(policy.preparationMax <= policy.callableTime)
        #expect(policy.callableTime + policy.workerTimeout < policy.leaseDuration)
      }
    }
  }
}

import Testing

@testable import AMQPClient

@Suite("Refusals")
struct RefusalTests {
  private func refused(_ code: Int, _ text: String, _ scope: AMQPError.Scope = .channel) -> AMQPError {
    .refused("declare queue 'q'", code: code, text: text, scope: scope)
  }

  @Test("only another declaration is a 406 that no retry can cure")
  func failedPreconditions() {
    let differs = refused(406, "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/'")
    #expect(differs.cause == .differentDeclaration && differs.isPermanent && differs.endsReconnecting)
    for text in [
      "PRECONDITION_FAILED - cannot declare queue 'q' in vhost '/': queue limit in vhost '/' (10) is reached",
      "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms.",
      "PRECONDITION_FAILED - unknown delivery tag 7",
      "PRECONDITION_FAILED - message size 20 is larger than configured max size 10",
    ] {
      #expect(!refused(406, text).isPermanent, "\(text)")
    }
  }

  @Test("what the operator can put right at the broker ends no connection that is kept alive")
  func waits() {
    for error in [
      refused(403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'"),
      refused(403, "ACCESS_REFUSED - Login was refused", .connection),
      refused(530, "NOT_ALLOWED - vhost v not found", .connection),
      refused(
        530, "NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (1) is reached", .connection),
    ] {
      #expect(!error.endsReconnecting, "\(error)")
    }
  }

  @Test("the broker's limit on a message is read from its refusal, and from no other text")
  func messageSize() {
    let large = refused(406, "PRECONDITION_FAILED - message size 3000000 is larger than configured max size 100000")
    #expect(AMQPLimits.messageByteMax(inRefusal: large) == 100_000)
    #expect(
      AMQPLimits.messageByteMax(inRefusal: refused(406, "PRECONDITION_FAILED - queue limit (10) is reached")) == nil)
    #expect(AMQPLimits.messageByteMax(inRefusal: refused(404, "NOT_FOUND - no exchange '7'")) == nil)
  }
}

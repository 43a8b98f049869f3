import Resilience
import Testing

@Suite("Fault notice")
struct FaultNoticeTests {
  private let start = ContinuousClock.now

  @Test("a reason is reported once, and another reason as well, however often both come back")
  func eachReasonOnce() {
    var notice = FaultNotice()
    #expect(notice.failed("closed by the operator", at: start) == true)
    #expect(notice.failed("closed by the operator", at: start + .seconds(1)) == false)
    #expect(notice.failed("the password is refused", at: start + .seconds(2)) == true)
    #expect(notice.failed("closed by the operator", at: start + .seconds(3)) == false)
    #expect(notice.failed("the password is refused", at: start + .seconds(4)) == false)
  }

  @Test("the end of a failure is reported once, and only if its beginning was")
  func end() {
    var notice = FaultNotice()
    #expect(notice.worked(at: start) == false)
    #expect(notice.failed("a", at: start) == true)
    #expect(notice.worked(at: start + .seconds(1)) == true)
    #expect(notice.worked(at: start + .seconds(2)) == false)
    #expect(notice.failed("a", at: start + .seconds(3)) == false)
    #expect(notice.worked(at: start + .seconds(4)) == false)
  }

  @Test("a reason is reported again when it has worked for a while in between, and not when it only flickers")
  func settling() {
    var notice = FaultNotice(settling: .seconds(10))
    #expect(notice.failed("a", at: start) == true)
    #expect(notice.worked(at: start + .seconds(1)) == true)
    #expect(notice.failed("a", at: start + .seconds(2)) == false)
    #expect(notice.worked(at: start + .seconds(3)) == false)
    #expect(notice.worked(at: start + .seconds(12)) == false)
    #expect(notice.failed("a", at: start + .seconds(13)) == true)
  }

  @Test("texts that never repeat are no longer reported after a while, and again when it has worked")
  func bounded() {
    var notice = FaultNotice(settling: .seconds(10))
    let said = (0..<1_000).count { notice.failed("number \($0)", at: start) }
    #expect(said == FaultNotice.textMax)
    _ = notice.worked(at: start)
    #expect(notice.failed("number 2000", at: start + .seconds(10)) == true)
  }
}

import Primitives
import Reviews
import Testing

@testable import Settings

@Suite("Lists of secrets")
struct SecretListTests {
  @Test("the first is current, the others are still accepted")
  func order() throws {
    let list = try SettingText.secrets()("newest, older ,oldest")
    #expect(list.current.reveal() == "newest")
    #expect(list.former.map { $0.reveal() } == ["older", "oldest"])
    #expect(list.all.count == 3)
  }

  @Test("an empty part is refused, and so is one that is too short", arguments: ["", ",", "a,", ",a", "long enough,a"])
  func refused(text: String) {
    #expect(throws: SettingFault.self) { try SettingText.secrets(shortest: 4)(text) }
  }

  @Test("no message shows the text")
  func silent() {
    let fault = #expect(throws: SettingFault.self) { try SettingText.secrets(shortest: 16)("hunter2") }
    #expect(fault?.problem.contains("hunter2") == false)
  }
}

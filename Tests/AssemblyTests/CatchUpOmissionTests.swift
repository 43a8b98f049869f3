import Testing

@testable import Assembly

@Suite("What catching up leaves out")
struct CatchUpOmissionTests {
  typealias Omission = CatchUpPass.Omission

  @Test("where there is nothing to look through, nothing is wrong")
  func nothingKnown() {
    let omission = Omission(hasGitHubApp: false, installations: 0, hasGitLab: false)
    #expect(omission == .everything)
    #expect(omission?.isFault == false)
  }

  @Test("installations without the app of GitHub are a fault, with or without GitLab", arguments: [true, false])
  func installations(hasGitLab: Bool) {
    let omission = Omission(hasGitHubApp: false, installations: 2, hasGitLab: hasGitLab)
    #expect(omission == .installations(2))
    #expect(omission?.isFault == true)
    #expect(omission?.description.contains("2 installations") == true)
  }

  @Test("with the app, or with GitLab alone, nothing is left out")
  func nothingLeftOut() {
    #expect(Omission(hasGitHubApp: true, installations: 0, hasGitLab: false) == nil)
    #expect(Omission(hasGitHubApp: true, installations: 3, hasGitLab: true) == nil)
    #expect(Omission(hasGitHubApp: false, installations: 0, hasGitLab: true) == nil)
  }
}

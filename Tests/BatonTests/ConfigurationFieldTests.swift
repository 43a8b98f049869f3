import Reviews
import Testing

@testable import ReviewStore
@testable import baton

@Suite("Fields of a configuration")
struct ConfigurationFieldTests {
  private func page(_ json: String) throws -> ConfigurationPage {
    try ConfigurationPage(
      owner: Owner(type: .org, id: "acme"), platform: .github, stored: StoredConfiguration(json: json, isEnabled: true))
  }

  @Test("every field that is shown is one that the check knows")
  func known() throws {
    for field in ConfigurationField.all {
      // A truth value is right for none of them.
      let faults = #expect(throws: ReviewConfigurationFaults.self) {
        try ReviewConfiguration(json: #"{"\#(field.name)":true}"#)
      }
      #expect(faults?.faults.first?.hasPrefix("\(field.name):") == true, "\(field.name)")
    }
  }

  @Test("a page shows what holds: given, by default, and not known")
  func table() throws {
    let lines = try page(#"{"review_style":"strict","focus_areas":["bugs","style"],"later":{"a":1},"model_slug":null}"#)
      .table.lines(width: nil)
    #expect(lines.contains { $0.hasPrefix("review_style") && $0.hasSuffix("strict") })
    #expect(lines.contains { $0.hasPrefix("focus_areas") && $0.hasSuffix("bugs, style") })
    #expect(lines.contains { $0.hasPrefix("model_slug") && $0.hasSuffix("(default)") })
    #expect(lines.contains { $0.hasPrefix("later") && $0.contains(#"{"a":1} (not known)"#) })
  }

  @Test("an invalid configuration is shown with its faults")
  func faults() throws {
    #expect(try page(#"{"review_style":"kind","gate_threshold":7}"#).faults.count == 2)
    #expect(try page("[1]").faults.count == 1)
    #expect(try page("{}").faults.isEmpty)
  }
}

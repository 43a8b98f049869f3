import Support
import Testing

@Suite("Examples of PostgresClient")
struct PostgresExampleTests {
  @Test("the page's code is code of the example, which is compiled", arguments: ["PostgresClient"])
  func page(name: String) throws {
    let examples = try PageExamples(
      page: "Sources/PostgresClient/PostgresClient.docc/\(name).md", folder: "Sources/Examples/PostgresClient")
    #expect(examples.blocks.count == 2)
    for block in examples.blocks { #expect(examples.isCompiled(block), "\(block)") }
  }
}

import Support
import Testing

@Suite("Examples of AMQPClient")
struct AMQPExampleTests {
  @Test("the page's code is code of the example, which is compiled", arguments: ["AMQPClient"])
  func page(name: String) throws {
    let examples = try PageExamples(
      page: "Sources/AMQPClient/AMQPClient.docc/\(name).md", folder: "Sources/Examples/AMQPClient")
    #expect(examples.blocks.count == 2)
    for block in examples.blocks { #expect(examples.isCompiled(block), "\(block)") }
  }
}

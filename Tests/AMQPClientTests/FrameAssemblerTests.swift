import Testing

@testable import AMQPClient

@Suite("Frame assembler")
struct FrameAssemblerTests {
  private let start = FrameAssembler.Start.delivery(tag: 7, isRedelivered: true, exchange: "e", routingKey: "k")

  @Test("a message is complete with the byte its header announced", arguments: [[6], [3, 3], [1, 2, 3]])
  func fragments(sizes: [Int]) throws {
    var assembler = FrameAssembler()
    try assembler.method(start)
    #expect(try assembler.header(MessageProperties(messageID: "m"), byteCount: 6) == nil)
    var next: UInt8 = 0
    var content: FrameAssembler.Content?
    for size in sizes {
      #expect(content == nil)
      content = try assembler.body((0..<size).map { next + UInt8($0) })
      next += UInt8(size)
    }
    let delivery = try #require(content?.delivery(generation: 3))
    #expect(delivery.body == [0, 1, 2, 3, 4, 5])
    #expect(delivery.tag == 7 && delivery.generation == 3 && delivery.isRedelivered)
    #expect(delivery.messageID == "m" && delivery.exchange == "e" && delivery.routingKey == "k")
  }

  @Test("an empty body is complete with its header, and the next message may begin")
  func emptyBody() throws {
    var assembler = FrameAssembler()
    for _ in 0..<2 {
      try assembler.method(start)
      #expect(try assembler.header(MessageProperties(), byteCount: 0)?.body == [])
    }
  }

  @Test("frames out of order are the peer's fault")
  func outOfOrder() throws {
    var assembler = FrameAssembler()
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.body([1]) }
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.header(MessageProperties(), byteCount: 1) }
    try assembler.method(start)
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.method(start) }
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.body([1]) }
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.header(MessageProperties(), byteCount: .max) }
    _ = try assembler.header(MessageProperties(), byteCount: 2)
    #expect(throws: FrameAssembler.OutOfOrder.self) { try assembler.body([1, 2, 3]) }
  }

  @Test("a return is no delivery")
  func returned() throws {
    var assembler = FrameAssembler()
    try assembler.method(.returned(code: 312, text: "NO_ROUTE", exchange: "", routingKey: "k"))
    let content = try #require(try assembler.header(MessageProperties(), byteCount: 0))
    #expect(content.delivery(generation: 1) == nil)
  }
}

import Testing

@testable import AMQPClient

@Suite("Limits of the protocol")
struct LimitsTests {
  private func fault(_ message: AMQPMessage, exchange: String = "e", routingKey: String = "k") -> String? {
    AMQPLimits.fault(of: AMQPPublication(message, exchange: exchange, routingKey: routingKey), bodyByteMax: 100)
  }

  @Test("what fits has no fault")
  func fits() {
    let name = String(repeating: "x", count: 255)
    let message = AMQPMessage(
      body: Array(repeating: 0, count: 100), contentType: name, type: name, messageID: name, correlationID: name,
      headers: ["a": ["b": [1, 2.5, true, nil, "text"]]])
    #expect(fault(message, exchange: name, routingKey: name) == nil)
  }

  @Test("properties and headers have to fit into one frame of the connection")
  func frames() {
    let message = AMQPMessage(body: [], messageID: "id", headers: ["a": .string(String(repeating: "x", count: 4_000))])
    #expect(AMQPLimits.fault(ofPropertiesOf: message, frameByteMax: 131_072) == nil)
    #expect(AMQPLimits.fault(ofPropertiesOf: message, frameByteMax: 4_096) == nil)
    let longer = AMQPMessage(body: [], messageID: "id", headers: ["a": .string(String(repeating: "x", count: 4_060))])
    #expect(AMQPLimits.fault(ofPropertiesOf: longer, frameByteMax: 4_096)?.contains("4096") == true)
    #expect(AMQPLimits.fault(ofPropertiesOf: longer, frameByteMax: 131_072) == nil)
  }

  @Test("what does not fit is found before it is written, and named")
  func exceeds() {
    let name = String(repeating: "x", count: 256)
    #expect(fault(AMQPMessage(body: Array(repeating: 0, count: 101)))?.contains("101 bytes") == true)
    #expect(fault(AMQPMessage(body: []), exchange: name)?.contains("exchange") == true)
    #expect(fault(AMQPMessage(body: []), routingKey: name)?.contains("routing key") == true)
    #expect(fault(AMQPMessage(body: [], messageID: name))?.contains("message id") == true)
    #expect(fault(AMQPMessage(body: [], headers: [name: 1]))?.contains("header") == true)
    #expect(fault(AMQPMessage(body: [], headers: ["a": [[name: 1]]]))?.contains("header") == true)
    let long = AMQPValue.string(String(repeating: "x", count: 70_000))
    #expect(fault(AMQPMessage(body: [], headers: ["a": long]))?.contains("65536") == true)
  }
}

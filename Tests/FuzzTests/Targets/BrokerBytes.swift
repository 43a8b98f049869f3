import CRabbitMQ
import FoundationEssentials
import Glibc
import Primitives
import Reviews

@testable import AMQPClient
@testable import ReviewQueue

/// What a broker sends, over a socket: frames, messages put together, tickets, settlements and dead letters.
func fuzzBrokerBytes(_ bytes: [UInt8]) throws {
  var handle = try AMQPConnectionHandle()
  guard try connect(handle, to: bytes) else { return }
  var reader = BrokerReader()
  for _ in 0..<1_024 {
    switch handle.next() {
    case .nothing, .failed: return
    case .ignored: continue
    case .method(_, let method): reader.take(method)
    case .start(_, let start): guard reader.takes({ try $0.method(start) }) else { return }
    case .header(_, let properties, let byteCount):
      guard reader.completes({ try $0.header(properties, byteCount: byteCount) }) else { return }
    case .body(_, let fragment): guard reader.completes({ try $0.body(fragment) }) else { return }
    }
  }
}

/// Gives the connection a socket that has these bytes, and then ends.
private func connect(_ handle: borrowing AMQPConnectionHandle, to bytes: [UInt8]) throws -> Bool {
  var ends: [Int32] = [-1, -1]
  let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
  guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { return false }
  defer { close(ends[0]) }
  guard let socket = amqp_tcp_socket_new(handle.state) else {
    close(ends[1])
    return false
  }
  amqp_tcp_socket_set_sockfd(socket, ends[1])
  return write(ends[0], bytes, bytes.count) == bytes.count
}

/// What the client and the queue make of frames.
private struct BrokerReader {
  var assembler = FrameAssembler()
  var ledger = AcknowledgementLedger()
  var confirms = ConfirmLedger<Int>()

  init() {
    for number in 0..<4 { _ = confirms.register(number, byteCount: number, deadline: .now) }
  }

  mutating func take(_ method: Method) {
    _ = method.answer
    switch method {
    case .acknowledged(let tag, let multiple):
      confirms.settle(tag: tag, multiple: multiple, isAcknowledged: true) { _, _ in }
    case .refused(let tag, let multiple):
      confirms.settle(tag: tag, multiple: multiple, isAcknowledged: false) { _, _ in }
    case .channelClosed(let code, let text), .connectionClosed(let code, let text):
      let error = AMQPError(operation: "test", code: code, text: text, scope: .channel)
      _ = ("\(error)", error.isPermanent, AMQPLimits.messageByteMax(inRefusal: error))
    default: break
    }
  }

  /// - Returns: false if the frame is out of order.
  mutating func takes(_ step: (inout FrameAssembler) throws -> Void) -> Bool {
    do { try step(&assembler) } catch { return false }
    return true
  }

  /// The same of a frame that may be the last one of a message.
  mutating func completes(_ step: (inout FrameAssembler) throws -> FrameAssembler.Content?) -> Bool {
    do {
      if let content = try step(&assembler) { take(content) }
    } catch {
      return false
    }
    return true
  }

  private mutating func take(_ content: FrameAssembler.Content) {
    guard let delivery = content.delivery(generation: 1) else { return }
    if ledger.deliver(delivery.tag), ledger.decide(delivery.tag, .acknowledge) { _ = ledger.flush() }
    _ = try? Ticket(body: delivery.body)
    _ = TicketDelivery(delivery).traceparent.flatMap { TraceContext(traceparent: $0) }
    _ = DeadLetter.letters([delivery])
    let pool = ArgumentPool()
    for form in DeadLetterForm.allCases {
      let publication = form.publication(
        of: delivery, reason: "test", queue: "reviews", id: "1", at: Timestamp(microseconds: 0))
      guard AMQPLimits.fault(of: publication, bodyByteMax: 1 << 20) == nil else { continue }
      _ = pool.table(publication.message.headers)
    }
  }
}

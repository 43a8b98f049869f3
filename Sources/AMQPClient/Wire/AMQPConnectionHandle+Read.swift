internal import CRabbitMQ
internal import Glibc

extension AMQPConnectionHandle {
  /// Reads one frame without waiting, and copies it out. Also sends a heartbeat if one is due, and notices a silent
  /// peer.
  mutating func next() -> Inbound {
    var frame = amqp_frame_t()
    var none = timeval(tv_sec: 0, tv_usec: 0)
    let status = amqp_simple_wait_frame_noblock(state, &frame, &none)
    if status == AMQP_STATUS_TIMEOUT.rawValue { return .nothing }
    guard status == AMQP_STATUS_OK.rawValue else {
      return .failed(Self.failure("keep the connection", status, "reading"))
    }
    let inbound = decode(frame)
    // Does nothing while a frame is half read or queued, so it is safe after every frame.
    amqp_maybe_release_buffers(state)
    return inbound
  }

  private mutating func decode(_ frame: amqp_frame_t) -> Inbound {
    switch Int32(frame.frame_type) {
    case AMQP_FRAME_METHOD:
      return decodeMethod(frame.payload.method, channel: frame.channel)
    case AMQP_FRAME_HEADER:
      let header = frame.payload.properties
      guard let decoded = header.decoded else { return .ignored }
      let properties = decodeProperties(decoded.assumingMemoryBound(to: amqp_basic_properties_t.self))
      return .header(channel: frame.channel, properties, byteCount: Int(clamping: header.body_size))
    case AMQP_FRAME_BODY:
      return .body(channel: frame.channel, [UInt8](frame.payload.body_fragment))
    default:
      return .ignored  // a heartbeat that a write has read
    }
  }

  private mutating func decodeMethod(_ method: amqp_method_t, channel: UInt16) -> Inbound {
    guard let decoded = method.decoded else { return .method(channel: channel, .done(method.id)) }
    if let start = decodeStart(method.id, decoded) { return .start(channel: channel, start) }
    return .method(channel: channel, Self.decodeMethod(method.id, decoded))
  }

  private mutating func decodeStart(_ id: UInt32, _ decoded: UnsafeMutableRawPointer) -> FrameAssembler.Start? {
    switch id {
    case AMQP_BASIC_DELIVER_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_basic_deliver_t.self).pointee
      return .delivery(
        tag: method.delivery_tag, isRedelivered: method.redelivered != 0, exchange: exchange.string(method.exchange),
        routingKey: routingKey.string(method.routing_key))
    case AMQP_BASIC_GET_OK_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_basic_get_ok_t.self).pointee
      return .got(
        tag: method.delivery_tag, isRedelivered: method.redelivered != 0, exchange: exchange.string(method.exchange),
        routingKey: routingKey.string(method.routing_key))
    case AMQP_BASIC_RETURN_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_basic_return_t.self).pointee
      return .returned(
        code: Int(method.reply_code), text: String(method.reply_text), exchange: exchange.string(method.exchange),
        routingKey: routingKey.string(method.routing_key))
    default:
      return nil
    }
  }

  private static func decodeMethod(_ id: UInt32, _ decoded: UnsafeMutableRawPointer) -> Method {
    switch id {
    case AMQP_BASIC_ACK_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_basic_ack_t.self).pointee
      return .acknowledged(tag: method.delivery_tag, multiple: method.multiple != 0)
    case AMQP_BASIC_NACK_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_basic_nack_t.self).pointee
      return .refused(tag: method.delivery_tag, multiple: method.multiple != 0)
    case AMQP_BASIC_CANCEL_METHOD:
      return .consumerCancelled
    case AMQP_BASIC_GET_EMPTY_METHOD:
      return .gotNothing
    case AMQP_CHANNEL_CLOSE_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee
      return .channelClosed(code: Int(method.reply_code), text: String(method.reply_text))
    case AMQP_CONNECTION_CLOSE_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
      return .connectionClosed(code: Int(method.reply_code), text: String(method.reply_text))
    case AMQP_CONNECTION_BLOCKED_METHOD:
      return .blocked(reason: String(decoded.assumingMemoryBound(to: amqp_connection_blocked_t.self).pointee.reason))
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      return .unblocked
    case AMQP_QUEUE_DECLARE_OK_METHOD:
      let method = decoded.assumingMemoryBound(to: amqp_queue_declare_ok_t.self).pointee
      return .queueDeclared(messagesReady: Int(method.message_count), consumers: Int(method.consumer_count))
    case AMQP_QUEUE_PURGE_OK_METHOD:
      return .queuePurged(
        messages: Int(decoded.assumingMemoryBound(to: amqp_queue_purge_ok_t.self).pointee.message_count))
    case AMQP_QUEUE_DELETE_OK_METHOD:
      return .queueDeleted(
        messages: Int(decoded.assumingMemoryBound(to: amqp_queue_delete_ok_t.self).pointee.message_count))
    case AMQP_CHANNEL_OPEN_OK_METHOD, AMQP_CHANNEL_CLOSE_OK_METHOD, AMQP_CONNECTION_CLOSE_OK_METHOD,
      AMQP_EXCHANGE_DECLARE_OK_METHOD, AMQP_QUEUE_BIND_OK_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD,
      AMQP_BASIC_QOS_OK_METHOD, AMQP_BASIC_CONSUME_OK_METHOD, AMQP_BASIC_CANCEL_OK_METHOD:
      return .done(id)
    default:
      return .unexpected(id)
    }
  }

  private mutating func decodeProperties(_ pointer: UnsafePointer<amqp_basic_properties_t>) -> MessageProperties {
    let flags = pointer.pointee._flags
    func has(_ flag: Int32) -> Bool { flags & UInt32(flag) != 0 }
    var properties = MessageProperties()
    if has(AMQP_BASIC_CONTENT_TYPE_FLAG) { properties.contentType = contentType.string(pointer.pointee.content_type) }
    if has(AMQP_BASIC_TYPE_FLAG) { properties.type = type.string(pointer.pointee.type) }
    if has(AMQP_BASIC_MESSAGE_ID_FLAG) { properties.messageID = String(pointer.pointee.message_id) }
    if has(AMQP_BASIC_CORRELATION_ID_FLAG) { properties.correlationID = String(pointer.pointee.correlation_id) }
    if has(AMQP_BASIC_TIMESTAMP_FLAG) { properties.timestamp = Int64(clamping: pointer.pointee.timestamp) }
    if has(AMQP_BASIC_HEADERS_FLAG) { properties.headers = AMQPValue.decodeTable(pointer.pointee.headers) }
    return properties
  }
}

internal import CRabbitMQ

extension AMQPConnectionHandle {
  /// The largest frame, as agreed with the broker at the login.
  var frameByteMax: Int { Int(amqp_get_frame_max(state)) }

  /// How many channels the broker allows on the connection.
  var channelMax: Int {
    let agreed = Int(amqp_get_channel_max(state))
    return agreed == 0 ? Int(UInt16.max) : agreed
  }

  /// Writes a method.
  /// - Throws: if the connection is over; whether the broker got the method is then unknown.
  func send(_ request: MethodRequest, channel: UInt16) throws(AMQPError) {
    let status = write(request, channel)
    arguments.recycle()
    guard status == AMQP_STATUS_OK.rawValue else { throw Self.failure(request.operation, status, "writing") }
  }

  private func write(_ request: MethodRequest, _ channel: UInt16) -> Int32 {
    switch request {
    case .openChannel:
      return send(AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t(out_of_band: amqp_empty_bytes), channel)
    case .closeChannel:
      let method = amqp_channel_close_t(reply_code: 200, reply_text: arguments.bytes("OK"), class_id: 0, method_id: 0)
      return send(AMQP_CHANNEL_CLOSE_METHOD, method, channel)
    case .confirmChannelClosed:
      return send(AMQP_CHANNEL_CLOSE_OK_METHOD, amqp_channel_close_ok_t(), channel)
    case .closeConnection:
      let method = amqp_connection_close_t(
        reply_code: 200, reply_text: arguments.bytes("OK"), class_id: 0, method_id: 0)
      return send(AMQP_CONNECTION_CLOSE_METHOD, method, 0)
    case .confirmConnectionClosed:
      return send(AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t(), 0)
    case .acknowledge(let tag, let multiple):
      return send(AMQP_BASIC_ACK_METHOD, amqp_basic_ack_t(delivery_tag: tag, multiple: multiple ? 1 : 0), channel)
    case .reject(let tag, let requeue):
      return send(AMQP_BASIC_REJECT_METHOD, amqp_basic_reject_t(delivery_tag: tag, requeue: requeue ? 1 : 0), channel)
    case .selectConfirms:
      return send(AMQP_CONFIRM_SELECT_METHOD, amqp_confirm_select_t(nowait: 0), channel)
    case .setPrefetch, .consume, .cancel, .get:
      return writeConsumer(request, channel)
    case .declareExchange, .inspectExchange, .declareQueue, .inspectQueue, .bind, .purge, .deleteQueue:
      return writeTopology(request, channel)
    }
  }

  private func writeConsumer(_ request: MethodRequest, _ channel: UInt16) -> Int32 {
    switch request {
    case .setPrefetch(let count):
      // Per consumer: quorum queues refuse `global` and close the connection.
      let method = amqp_basic_qos_t(prefetch_size: 0, prefetch_count: UInt16(clamping: count), global: 0)
      return send(AMQP_BASIC_QOS_METHOD, method, channel)
    case .consume(let queue, let consumerTag):
      var method = amqp_basic_consume_t()
      method.queue = arguments.bytes(queue)
      method.consumer_tag = arguments.bytes(consumerTag)
      return send(AMQP_BASIC_CONSUME_METHOD, method, channel)
    case .cancel(let consumerTag):
      let method = amqp_basic_cancel_t(consumer_tag: arguments.bytes(consumerTag), nowait: 0)
      return send(AMQP_BASIC_CANCEL_METHOD, method, channel)
    case .get(let queue):
      return send(
        AMQP_BASIC_GET_METHOD, amqp_basic_get_t(ticket: 0, queue: arguments.bytes(queue), no_ack: 0), channel)
    default:
      preconditionFailure("not a consumer's method")
    }
  }

  private func writeTopology(_ request: MethodRequest, _ channel: UInt16) -> Int32 {
    switch request {
    case .declareExchange(let exchange):
      var method = amqp_exchange_declare_t()
      method.exchange = arguments.bytes(exchange.name)
      method.type = arguments.bytes(exchange.kind.rawValue)
      method.durable = exchange.isDurable ? 1 : 0
      method.arguments = arguments.table(exchange.arguments)
      return send(AMQP_EXCHANGE_DECLARE_METHOD, method, channel)
    case .inspectExchange(let exchange):
      var method = amqp_exchange_declare_t()
      method.exchange = arguments.bytes(exchange.name)
      method.type = arguments.bytes(exchange.kind.rawValue)
      method.passive = 1
      return send(AMQP_EXCHANGE_DECLARE_METHOD, method, channel)
    case .declareQueue(let queue):
      var method = amqp_queue_declare_t()
      method.queue = arguments.bytes(queue.name)
      method.durable = queue.isDurable ? 1 : 0
      method.arguments = arguments.table(queue.arguments)
      return send(AMQP_QUEUE_DECLARE_METHOD, method, channel)
    case .inspectQueue(let name):
      var method = amqp_queue_declare_t()
      method.queue = arguments.bytes(name)
      method.passive = 1
      return send(AMQP_QUEUE_DECLARE_METHOD, method, channel)
    case .bind(let binding):
      var method = amqp_queue_bind_t()
      method.queue = arguments.bytes(binding.queue)
      method.exchange = arguments.bytes(binding.exchange)
      method.routing_key = arguments.bytes(binding.routingKey)
      method.arguments = arguments.table(binding.arguments)
      return send(AMQP_QUEUE_BIND_METHOD, method, channel)
    case .purge(let name):
      return send(
        AMQP_QUEUE_PURGE_METHOD, amqp_queue_purge_t(ticket: 0, queue: arguments.bytes(name), nowait: 0), channel)
    case .deleteQueue(let name):
      var method = amqp_queue_delete_t()
      method.queue = arguments.bytes(name)
      return send(AMQP_QUEUE_DELETE_METHOD, method, channel)
    default:
      preconditionFailure("not a method about topology")
    }
  }

  private func send<Value: BitwiseCopyable>(_ id: UInt32, _ method: Value, _ channel: UInt16) -> Int32 {
    var method = method
    return withUnsafeMutableBytes(of: &method) { amqp_send_method(state, channel, id, $0.baseAddress) }
  }

  /// Writes a message.
  /// - Throws: if the connection is over; whether the broker got the message is then unknown.
  func publish(_ publication: AMQPPublication, channel: UInt16) throws(AMQPError) {
    let message = publication.message
    var properties = encodeProperties(message)
    let exchange = arguments.bytes(publication.exchange)
    let routingKey = arguments.bytes(publication.routingKey)
    let status = message.body.withUnsafeBytes { body in
      // The library reads the body and does not change it, though its type says otherwise.
      let bytes = amqp_bytes_t(len: body.count, bytes: UnsafeMutableRawPointer(mutating: body.baseAddress))
      return amqp_basic_publish(
        state, channel, exchange, routingKey, publication.isMandatory ? 1 : 0, 0, &properties, bytes)
    }
    arguments.recycle()
    guard status == AMQP_STATUS_OK.rawValue else { throw Self.failure("publish", status, "writing") }
  }

  private func encodeProperties(_ message: AMQPMessage) -> amqp_basic_properties_t {
    var properties = amqp_basic_properties_t()
    var flags = AMQP_BASIC_DELIVERY_MODE_FLAG
    properties.delivery_mode = message.isPersistent ? 2 : 1
    func set(_ text: String?, _ flag: Int32, _ field: inout amqp_bytes_t) {
      guard let text else { return }
      field = arguments.bytes(text)
      flags |= flag
    }
    set(message.contentType, AMQP_BASIC_CONTENT_TYPE_FLAG, &properties.content_type)
    set(message.type, AMQP_BASIC_TYPE_FLAG, &properties.type)
    set(message.messageID, AMQP_BASIC_MESSAGE_ID_FLAG, &properties.message_id)
    set(message.correlationID, AMQP_BASIC_CORRELATION_ID_FLAG, &properties.correlation_id)
    if let timestamp = message.timestamp {
      properties.timestamp = UInt64(clamping: timestamp)
      flags |= AMQP_BASIC_TIMESTAMP_FLAG
    }
    if !message.headers.isEmpty {
      properties.headers = arguments.table(message.headers)
      flags |= AMQP_BASIC_HEADERS_FLAG
    }
    properties._flags = UInt32(flags)
    return properties
  }
}

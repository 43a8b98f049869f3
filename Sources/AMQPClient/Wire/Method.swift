internal import CRabbitMQ

/// A method from the broker that is not the beginning of a message.
enum Method: Equatable, Sendable {
  case acknowledged(tag: UInt64, multiple: Bool)
  case refused(tag: UInt64, multiple: Bool)
  case consumerCancelled
  case channelClosed(code: Int, text: String)
  case connectionClosed(code: Int, text: String)
  case blocked(reason: String)
  case unblocked
  case queueDeclared(messagesReady: Int, consumers: Int)
  case queuePurged(messages: Int)
  case queueDeleted(messages: Int)
  case gotNothing
  /// An answer without content, by the method's number.
  case done(UInt32)
  /// A method that a client does not expect, by its number.
  case unexpected(UInt32)

  /// The number of the request's `answer` that this is, or nil if it answers nothing.
  var answer: UInt32? {
    switch self {
    case .done(let id): id
    case .queueDeclared: AMQP_QUEUE_DECLARE_OK_METHOD
    case .queuePurged: AMQP_QUEUE_PURGE_OK_METHOD
    case .queueDeleted: AMQP_QUEUE_DELETE_OK_METHOD
    case .gotNothing: AMQP_BASIC_GET_OK_METHOD
    default: nil
    }
  }
}

/// What one look at the connection's input gave.
enum Inbound {
  /// Nothing more to read at present; the library's buffers are empty too.
  case nothing
  /// A frame that needs nothing done.
  case ignored
  case method(channel: UInt16, Method)
  case start(channel: UInt16, FrameAssembler.Start)
  case header(channel: UInt16, MessageProperties, byteCount: Int)
  case body(channel: UInt16, [UInt8])
  /// The connection is over.
  case failed(AMQPError)
}

/// A method for the broker.
enum MethodRequest {
  case openChannel
  case closeChannel
  case confirmChannelClosed
  case declareExchange(AMQPExchange)
  case declareQueue(AMQPQueue)
  case inspectExchange(AMQPExchange)
  case inspectQueue(String)
  case bind(AMQPBinding)
  case purge(String)
  case deleteQueue(String)
  case selectConfirms
  case setPrefetch(Int)
  case consume(queue: String, consumerTag: String)
  case cancel(consumerTag: String)
  case get(queue: String)
  case acknowledge(tag: UInt64, multiple: Bool)
  case reject(tag: UInt64, requeue: Bool)
  case closeConnection
  case confirmConnectionClosed

  /// The number of the method that answers; nil if none does.
  var answer: UInt32? {
    switch self {
    case .openChannel: AMQP_CHANNEL_OPEN_OK_METHOD
    case .closeChannel: AMQP_CHANNEL_CLOSE_OK_METHOD
    case .declareExchange, .inspectExchange: AMQP_EXCHANGE_DECLARE_OK_METHOD
    case .declareQueue, .inspectQueue: AMQP_QUEUE_DECLARE_OK_METHOD
    case .bind: AMQP_QUEUE_BIND_OK_METHOD
    case .purge: AMQP_QUEUE_PURGE_OK_METHOD
    case .deleteQueue: AMQP_QUEUE_DELETE_OK_METHOD
    case .selectConfirms: AMQP_CONFIRM_SELECT_OK_METHOD
    case .setPrefetch: AMQP_BASIC_QOS_OK_METHOD
    case .consume: AMQP_BASIC_CONSUME_OK_METHOD
    case .cancel: AMQP_BASIC_CANCEL_OK_METHOD
    case .get: AMQP_BASIC_GET_OK_METHOD
    case .closeConnection: AMQP_CONNECTION_CLOSE_OK_METHOD
    case .confirmChannelClosed, .confirmConnectionClosed, .acknowledge, .reject: nil
    }
  }

  /// For error messages.
  var operation: String {
    switch self {
    case .openChannel: "open a channel"
    case .closeChannel, .confirmChannelClosed: "close a channel"
    case .declareExchange(let exchange): "declare exchange '\(exchange.name)'"
    case .declareQueue(let queue): "declare queue '\(queue.name)'"
    case .inspectExchange(let exchange): "look at exchange '\(exchange.name)'"
    case .inspectQueue(let name): "look at queue '\(name)'"
    case .bind(let binding): "bind queue '\(binding.queue)' to exchange '\(binding.exchange)'"
    case .purge(let name): "purge queue '\(name)'"
    case .deleteQueue(let name): "delete queue '\(name)'"
    case .selectConfirms: "select publisher confirms"
    case .setPrefetch(let count): "set the prefetch to \(count)"
    case .consume(let queue, _): "consume from queue '\(queue)'"
    case .cancel: "cancel the consumer"
    case .get(let queue): "get a message from queue '\(queue)'"
    case .acknowledge(let tag, _): "acknowledge delivery \(tag)"
    case .reject(let tag, _): "reject delivery \(tag)"
    case .closeConnection, .confirmConnectionClosed: "close the connection"
    }
  }
}

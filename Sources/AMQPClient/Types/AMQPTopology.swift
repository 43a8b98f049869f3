/// An exchange to declare.
public struct AMQPExchange: Sendable, Hashable {
  /// How an exchange routes.
  public enum Kind: String, Sendable, Hashable {
    /// By equal routing key.
    case direct
    /// To every bound queue.
    case fanout
    /// By pattern of the routing key.
    case topic
    /// By the message's headers.
    case headers
  }

  /// The name.
  public var name: String
  /// How it routes.
  public var kind: Kind
  /// Whether it outlives a restart of the broker.
  public var isDurable: Bool
  /// Further arguments, such as `alternate-exchange`.
  public var arguments: AMQPTable

  /// Creates an exchange to declare.
  public init(_ name: String, kind: Kind = .direct, isDurable: Bool = true, arguments: AMQPTable = [:]) {
    self.name = name
    self.kind = kind
    self.isDurable = isDurable
    self.arguments = arguments
  }
}

/// A queue to declare.
public struct AMQPQueue: Sendable, Hashable {
  /// The name.
  public var name: String
  /// Whether it outlives a restart of the broker.
  public var isDurable: Bool
  /// `x-queue-type`, `x-delivery-limit` and so on. They cannot be changed later: declaring a queue with other arguments
  /// is refused with 406.
  public var arguments: AMQPTable

  /// Creates a queue to declare.
  public init(_ name: String, isDurable: Bool = true, arguments: AMQPTable = [:]) {
    self.name = name
    self.isDurable = isDurable
    self.arguments = arguments
  }

  /// Creates a quorum queue to declare: durable, and replicated in a cluster. `x-queue-type` need not be among the
  /// arguments.
  public static func quorum(_ name: String, arguments: AMQPTable = [:]) -> AMQPQueue {
    AMQPQueue(name, arguments: arguments.merging(["x-queue-type": "quorum"], uniquingKeysWith: { $1 }))
  }
}

/// A route from an exchange to a queue, to declare.
public struct AMQPBinding: Sendable, Hashable {
  /// The queue's name.
  public var queue: String
  /// The exchange's name.
  public var exchange: String
  /// The key or pattern; unused by fanout and headers exchanges.
  public var routingKey: String
  /// What a headers exchange matches, with `x-match`.
  public var arguments: AMQPTable

  /// Creates a binding to declare.
  public init(queue: String, exchange: String, routingKey: String = "", arguments: AMQPTable = [:]) {
    self.queue = queue
    self.exchange = exchange
    self.routingKey = routingKey
    self.arguments = arguments
  }
}

/// What must exist before publishing or consuming; declared again at every connect, which changes nothing that is
/// there.
public struct AMQPTopology: Sendable, Hashable {
  /// Declared first.
  public var exchanges: [AMQPExchange]
  /// Declared second.
  public var queues: [AMQPQueue]
  /// Declared last. A binding that is no longer listed stays at the broker.
  public var bindings: [AMQPBinding]

  /// Creates a topology; empty if nothing needs to be declared.
  public init(exchanges: [AMQPExchange] = [], queues: [AMQPQueue] = [], bindings: [AMQPBinding] = []) {
    self.exchanges = exchanges
    self.queues = queues
    self.bindings = bindings
  }
}

/// What a passive declaration reports about a queue.
public struct AMQPQueueStatus: Sendable, Hashable {
  /// Messages ready for delivery; those delivered and not settled do not count.
  public var messagesReady: Int
  /// Active consumers.
  public var consumers: Int

  /// Creates a status.
  public init(messagesReady: Int, consumers: Int) {
    self.messagesReady = messagesReady
    self.consumers = consumers
  }
}

package import AMQPClient
package import Logging

/// A connection to RabbitMQ for a command that runs once: what operators do with the work queue and the dead letters.
///
/// It declares nothing unless told to, and once it is lost it stays lost. All its calls throw a ``QueueFault``.
package struct QueueConnection: Sendable {
  private let connection: AMQPConnection
  private let queue: String

  /// Connects.
  /// - Parameters:
  ///   - configuration: how the broker is reached.
  ///   - queue: the work queue's name.
  ///   - logger: for what the connection reports.
  package init(_ configuration: AMQPConfiguration, queue: String, logger: Logger) async throws {
    connection = try await AMQPConnection.connect(configuration, logger: logger)
    self.queue = queue
  }

  /// Closes the connection.
  package func close() async { await connection.close() }

  /// Declares exchanges, queues and bindings; what is there already stays as it is.
  package func declare() async throws { try await connection.declare(ReviewTopology.topology(queue: queue)) }

  /// How many messages and consumers the work queue has.
  package func status() async throws -> TicketQueueStatus {
    TicketQueueStatus(try await connection.queueStatus(queue))
  }

  /// How many dead letters there are.
  package func deadCount() async throws -> Int {
    try await connection.queueStatus(ReviewTopology.deadQueue).messagesReady
  }

  /// The oldest dead letters, which stay where they are: fewer if they are large.
  package func deadLetters(limit: Int) async throws -> [DeadLetter] {
    DeadLetter.letters(
      try await connection.peek(ReviewTopology.deadQueue, limit: limit, byteMax: DeadLetter.lookByteMax))
  }

  /// Deletes dead letters.
  /// - Parameters:
  ///   - limit: how many of the oldest are looked at.
  ///   - isUnwanted: which of them are deleted.
  /// - Returns: those that were deleted.
  package func deleteDeadLetters(
    limit: Int, where isUnwanted: @Sendable (DeadLetter) -> Bool
  ) async throws -> [DeadLetter] {
    try await connection.remove(from: ReviewTopology.deadQueue, limit: limit) { isUnwanted(DeadLetter($0)) }
      .map { DeadLetter($0) }
  }

  /// Deletes all dead letters.
  /// - Returns: how many there were.
  package func purgeDeadLetters() async throws -> Int { try await connection.purge(ReviewTopology.deadQueue) }
}

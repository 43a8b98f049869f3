/// The deliveries of a consumer, for one reader at a time.
///
/// It goes on across reconnects; what was received before one and not yet read is dropped, since the broker delivers it
/// again. It ends when the consumer ends or stops consuming, after what was received by then. At most the prefetch is
/// buffered.
public struct AMQPDeliveries: AsyncSequence, Sendable {
  /// A message.
  public typealias Element = AMQPDelivery
  /// Never throws: a lost connection is repaired behind the sequence.
  public typealias Failure = Never

  let buffer: DeliveryBuffer

  /// Begins to read.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(buffer: buffer) }

  /// Reads deliveries one by one.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let buffer: DeliveryBuffer

    /// The next delivery; nil at the end, and at once if the task is cancelled and nothing is buffered.
    public mutating func next() async -> AMQPDelivery? {
      await buffer.take(isolation: nil)
    }

    /// The next delivery, without leaving the caller's isolation if one is buffered.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> AMQPDelivery? {
      await buffer.take(isolation: actor)
    }
  }
}

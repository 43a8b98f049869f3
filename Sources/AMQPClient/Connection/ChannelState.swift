internal import DequeModule
internal import PollExecutor

/// One open channel: the calls that wait for their answers, and the message that is coming in.
///
/// The broker answers the calls of a channel in their order.
final class ChannelState {
  var calls: Deque<PendingCall> = []
  var assembler = FrameAssembler()
}

/// A channel that was opened under this number.
struct OpenChannel {
  let number: UInt16
  let state: ChannelState
}

/// A call whose answer is due.
final class PendingCall {
  let operation: String
  /// The number of the method that answers.
  let answer: UInt32
  let continuation: CheckedContinuation<Result<ChannelReply, AMQPError>, Never>
  var timer: ThreadExecutor.Token?

  init(operation: String, answer: UInt32, continuation: CheckedContinuation<Result<ChannelReply, AMQPError>, Never>) {
    self.operation = operation
    self.answer = answer
    self.continuation = continuation
  }
}

/// The answer to a call.
enum ChannelReply: Sendable {
  case method(Method)
  case message(FrameAssembler.Content)
}

/// What a connection reports to the loop that keeps it: an event stream that ends with `.lost`.
enum ConnectionEvent: Sendable {
  /// The main channel is gone. An `epoch` that is not the connection's current one was dealt with already.
  case channelClosed(epoch: Int, AMQPError)
  /// The broker has cancelled the consumer; what was delivered can still be settled.
  case consumerCancelled(epoch: Int)
  case blocked(reason: String)
  case unblocked
  case lost(AMQPError)
  /// The channel is no good any more: the consumer's owner says so, or it refuses every publish.
  case rebuildChannel
  /// Wishes of the consumer's owner, put into the same order.
  case resume
  case rebuildConnection
}

/// What a connection publishes for.
struct Publishing {
  let queue: PublishQueue
  var ledger = ConfirmLedger<PublishRequest>()
  var refusals = RefusalWatch()
  var armed: ContinuousClock.Instant?
  /// When the last confirm came, or since when one is due.
  var progressAt = ContinuousClock.now
  /// Whether a timer looks for confirms that do not come.
  var isWatched = false
}

/// What a connection consumes for.
struct ChannelConsumption {
  let buffer: DeliveryBuffer
  let generation: UInt64
  let consumerTag: String
  /// The prefetch of the basic.consume that was sent and that no cancel has ended; nil if there is none.
  var activePrefetch: Int?
  var isActive: Bool { activePrefetch != nil }
  /// Whether decisions wait: a consumer is about to be cancelled.
  var holdsDecisions = false
}

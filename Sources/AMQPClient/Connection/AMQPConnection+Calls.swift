internal import DequeModule
internal import PollExecutor

// Calls: methods with an answer.
extension AMQPConnection {
  /// Sends a method and waits for its answer. Cancellation does not end the wait; the RPC timeout does, and the
  /// connection with it.
  /// - Throws: the broker's refusal (the channel is then closed), or the loss of the connection.
  func call(_ request: MethodRequest, on number: UInt16) async throws(AMQPError) -> ChannelReply {
    try checkCallable(request.operation)
    let result: Result<ChannelReply, AMQPError> = await withCheckedContinuation { start(request, on: number, $0) }
    return try result.get()
  }

  private func checkCallable(_ operation: String) throws(AMQPError) {
    guard handle != nil else { throw loss ?? .notConnected(operation) }
    // The broker reads nothing from a connection that it blocks: the call would wait for the end of the alarm.
    guard !isBlocked else {
      throw AMQPError(
        operation: operation, text: "the broker blocks this connection because of an alarm", scope: .channel)
    }
  }

  private func start(
    _ request: MethodRequest, on number: UInt16,
    _ continuation: CheckedContinuation<Result<ChannelReply, AMQPError>, Never>
  ) {
    if case .openChannel = request, channels[number] == nil { channels[number] = ChannelState() }
    guard let channel = channels[number], let answer = request.answer else {
      let error = AMQPError(operation: request.operation, text: "the channel is closed", scope: .channel)
      return continuation.resume(returning: .failure(error))
    }
    let call = PendingCall(operation: request.operation, answer: answer, continuation: continuation)
    channel.calls.append(call)
    armTimeout(call, on: number)
    do {
      try handle?.send(request, channel: number)
    } catch {
      lose(error)
    }
  }

  /// Gives the connection up if a call has no answer in time, except while an alarm keeps the broker from reading
  /// it.
  private func armTimeout(_ call: PendingCall, on number: UInt16) {
    let timeout = configuration.rpcTimeout
    let id = ObjectIdentifier(call)
    call.timer = executor.schedule(after: timeout) { [weak self] in
      self?.assumeIsolated { connection in
        // An answered call has cancelled its timer, so the id cannot be another call's by now.
        guard let call = connection.channels[number]?.calls.first(where: { ObjectIdentifier($0) == id }) else { return }
        if connection.isBlocked { return connection.armTimeout(call, on: number) }
        connection.lose(.lost(call.operation, "no answer within \(timeout)"))
      }
    }
  }

  /// Opens the main channel if it is not open.
  func openMainChannel() async throws(AMQPError) {
    guard channels[Self.mainChannel] == nil else { return }
    epoch += 1
    _ = try await call(.openChannel, on: Self.mainChannel)
  }

  /// The most channels that are opened, the main one among them.
  private var channelMax: UInt16 { UInt16(min(handle?.channelMax ?? 0, 1_000)) }

  /// Opens a channel with a number that no other has.
  private func openChannel() async throws(AMQPError) -> OpenChannel {
    try checkCallable("open a channel")
    let channelMax = channelMax
    let number = (Self.mainChannel + 1...1_000).prefix { $0 <= channelMax }.first { channels[$0] == nil }
    guard let number else {
      throw AMQPError(
        operation: "open a channel", code: 530,
        text: "all \(channelMax) channels of the connection are in use (the broker's channel_max, at most 1000)",
        scope: .channel)
    }
    let state = ChannelState()
    channels[number] = state
    _ = try await call(.openChannel, on: number)
    return OpenChannel(number: number, state: state)
  }

  /// Whether a channel is still open: if the broker has closed it, its number may be another one's by now.
  private func isOpen(_ channel: OpenChannel) -> Bool { channels[channel.number] === channel.state }

  /// Runs calls on a channel of their own, so that a refusal, which closes it, disturbs nothing else.
  private func withChannel<Value: Sendable>(
    _ body: (UInt16) async throws(AMQPError) -> Value
  ) async throws(AMQPError) -> Value {
    let channel = try await openChannel()
    let value: Value
    do {
      value = try await body(channel.number)
    } catch {
      if isOpen(channel), !isBlocked { _ = try await call(.closeChannel, on: channel.number) }
      throw error
    }
    _ = try await call(.closeChannel, on: channel.number)
    return value
  }

  /// Runs one call on the channel that is kept for looks, which costs one round trip instead of three. While another call uses that channel, or
  /// if the broker allows no channel more, on a channel of its own.
  private func look(_ request: MethodRequest) async throws(AMQPError) -> ChannelReply {
    guard !isLooking, channelMax > Self.mainChannel + 1 else {
      return try await withChannel { number throws(AMQPError) in try await call(request, on: number) }
    }
    isLooking = true
    defer { isLooking = false }
    let channel: OpenChannel
    if let lookChannel, isOpen(lookChannel) {
      channel = lookChannel
    } else {
      channel = try await openChannel()
      lookChannel = channel
    }
    return try await call(request, on: channel.number)
  }

  // MARK: Topology

  /// Declares exchanges, queues and bindings, in this order. What is there already stays as it is.
  ///
  /// An account that lacks the permission to declare can still work with what is there: each exchange and queue is then only looked for,
  /// and a binding is taken for granted, as nothing shows it.
  /// - Throws: permanent if something is there with other arguments (406; the text names the argument), or if
  ///   the account may not declare it (403) and it does not exist.
  public func declare(_ topology: AMQPTopology) async throws(AMQPError) { _ = try await declareOrFind(topology) }

  /// Declares a topology, or finds it.
  /// - Returns: whether everything was declared; false if something could only be looked for.
  func declareOrFind(_ topology: AMQPTopology) async throws(AMQPError) -> Bool {
    let names =
      topology.exchanges.map { ($0.name, $0.arguments) } + topology.queues.map { ($0.name, $0.arguments) }
      + topology.bindings.flatMap { [($0.queue, $0.arguments), ($0.exchange, [:]), ($0.routingKey, [:])] }
    for (name, arguments) in names { try Self.check(name, arguments) }
    let requests =
      topology.exchanges.map { MethodRequest.declareExchange($0) } + topology.queues.map { .declareQueue($0) }
      + topology.bindings.map { .bind($0) }
    do {
      try await withChannel { number throws(AMQPError) in
        for request in requests { _ = try await call(request, on: number) }
      }
      return true
    } catch {
      guard error.cause == .permission else { throw error }
      for request in requests { try await declareOrFind(request) }
      return false
    }
  }

  /// Declares one object, or looks whether it is there if the account may not declare it.
  private func declareOrFind(_ request: MethodRequest) async throws(AMQPError) {
    do {
      try await withChannel { number throws(AMQPError) in _ = try await call(request, on: number) }
    } catch {
      let refusal = error
      guard refusal.cause == .permission else { throw refusal }
      let look: MethodRequest
      switch request {
      case .declareExchange(let exchange): look = .inspectExchange(exchange)
      case .declareQueue(let queue): look = .inspectQueue(queue.name)
      default: return
      }
      do {
        try await withChannel { number throws(AMQPError) in _ = try await call(look, on: number) }
      } catch {
        guard error.cause == .notFound else { throw error }
        throw AMQPError(
          operation: refusal.operation, code: refusal.code,
          text: "\(refusal.text); it does not exist, and this account lacks the 'configure' permission to declare it",
          scope: .channel, isPermanent: true)
      }
    }
  }

  static func check(_ name: String, _ arguments: AMQPTable = [:]) throws(AMQPError) {
    guard let fault = AMQPLimits.fault(ofName: name, arguments: arguments) else { return }
    throw AMQPError(
      operation: "use '\(name.prefix(40))'", text: fault, scope: .configuration, isPermanent: true)
  }

  /// Looks at a queue without changing it.
  /// - Throws: code 404 if it does not exist.
  public func queueStatus(_ queue: String) async throws(AMQPError) -> AMQPQueueStatus {
    try Self.check(queue)
    guard case .method(.queueDeclared(let ready, let consumers)) = try await look(.inspectQueue(queue)) else {
      throw .lost("look at queue '\(queue)'", "the broker answered something else")
    }
    return AMQPQueueStatus(messagesReady: ready, consumers: consumers)
  }

  /// Removes the messages that are ready in a queue, not those delivered and unsettled.
  /// - Returns: how many there were.
  public func purge(_ queue: String) async throws(AMQPError) -> Int {
    try Self.check(queue)
    return try await withChannel { number throws(AMQPError) in
      guard case .method(.queuePurged(let messages)) = try await call(.purge(queue), on: number) else {
        throw .lost("purge queue '\(queue)'", "the broker answered something else")
      }
      return messages
    }
  }

  /// Deletes a queue with all its messages; one that does not exist is fine.
  /// - Returns: how many messages were ready in it.
  @discardableResult
  public func deleteQueue(_ queue: String) async throws(AMQPError) -> Int {
    try Self.check(queue)
    return try await withChannel { number throws(AMQPError) in
      guard case .method(.queueDeleted(let messages)) = try await call(.deleteQueue(queue), on: number) else {
        throw .lost("delete queue '\(queue)'", "the broker answered something else")
      }
      return messages
    }
  }

  /// Looks at the first messages of a queue and puts them back to its head.
  ///
  /// The broker counts a look as a delivery: `isRedelivered` is then true, and on a quorum queue `x-delivery-count` is
  /// one higher. So do not look at a queue with a delivery limit. While they are looked at, the messages are not in the
  /// queue. At most `limit` messages are taken, and held in memory at once, fewer if they reach `byteMax` bytes.
  ///
  /// They keep their place before the rest of the queue; among themselves they come back in their order up to nine, and more
  /// of them by their numbers' text: 1, 10, 2 (seen with RabbitMQ 3.10).
  public func peek(_ queue: String, limit: Int, byteMax: Int = .max) async throws(AMQPError) -> [AMQPDelivery] {
    try Self.check(queue)
    // Closing the channel is what puts them back.
    return try await withChannel { number throws(AMQPError) in
      var deliveries: [AMQPDelivery] = []
      var byteCount = 0
      while deliveries.count < limit, byteCount < byteMax {
        guard case .message(let content) = try await call(.get(queue: queue), on: number) else { break }
        byteCount += content.body.count
        if let delivery = content.delivery(generation: 0) { deliveries.append(delivery) }
      }
      return deliveries
    }
  }

  /// Looks at the first messages of a queue, removes some of them, and puts the others back to its head, as ``peek(_:limit:byteMax:)`` does.
  /// - Returns: those that were removed.
  public func remove(
    from queue: String, limit: Int, where isUnwanted: @Sendable (AMQPDelivery) -> Bool
  ) async throws(AMQPError) -> [AMQPDelivery] {
    try Self.check(queue)
    return try await withChannel { number throws(AMQPError) in
      var removed: [AMQPDelivery] = []
      for _ in 0..<limit {
        guard case .message(let content) = try await call(.get(queue: queue), on: number) else { break }
        guard let delivery = content.delivery(generation: 0), isUnwanted(delivery) else { continue }
        try handle?.send(.acknowledge(tag: delivery.tag, multiple: false), channel: number)
        removed.append(delivery)
      }
      // Answered after the acknowledgements: they have arrived before the channel closes.
      if !removed.isEmpty { _ = try await call(.inspectQueue(queue), on: number) }
      return removed
    }
  }
}

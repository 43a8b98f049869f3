internal import DequeModule
internal import Logging
internal import PollExecutor

// Reading: every frame of the connection passes here.
extension AMQPConnection {
  /// Reads what is there, up to a bound.
  /// - Returns: whether the bound was hit.
  func readFrames() -> Bool {
    for _ in 0..<Self.frameMaxPerTurn {
      guard let inbound = handle?.next() else { return false }
      if case .nothing = inbound {
        handOver()
        return false
      }
      dispatch(inbound)
    }
    handOver()
    return true
  }

  private func dispatch(_ inbound: Inbound) {
    switch inbound {
    case .nothing, .ignored: break
    case .method(0, let method): takeConnectionMethod(method)
    case .method(let number, let method): takeMethod(method, on: number)
    case .start(let number, let start):
      assemble(on: number) { (assembler: inout FrameAssembler) throws(FrameAssembler.OutOfOrder) in
        try assembler.method(start)
        return nil
      }
    case .header(let number, let properties, let byteCount):
      assemble(on: number) { (assembler: inout FrameAssembler) throws(FrameAssembler.OutOfOrder) in
        try assembler.header(properties, byteCount: byteCount)
      }
    case .body(let number, let fragment):
      assemble(on: number) { (assembler: inout FrameAssembler) throws(FrameAssembler.OutOfOrder) in
        try assembler.body(fragment)
      }
    case .failed(let error): lose(error)
    }
  }

  private func assemble(
    on number: UInt16,
    _ step: (inout FrameAssembler) throws(FrameAssembler.OutOfOrder) -> FrameAssembler.Content?
  ) {
    // A frame for a channel that is closed already is late, not wrong.
    guard let channel = channels[number] else { return }
    do {
      if let content = try step(&channel.assembler) { take(content, on: number, channel) }
    } catch {
      lose(.lost("read from the broker", "the frames are out of order: \(error.what)"))
    }
  }

  private func take(_ content: FrameAssembler.Content, on number: UInt16, _ channel: ChannelState) {
    switch content.start {
    case .delivery:
      guard number == Self.mainChannel, let consumption else { return }
      if let delivery = content.delivery(generation: consumption.generation) { received.append(delivery) }
    case .got:
      answer(channel, .message(content))
    case .returned(let code, let text, let exchange, let routingKey):
      let isKnown = publishing?.ledger.markReturned(code: code, text: text) { request in
        request.publication.message.messageID == content.properties.messageID
          && request.publication.routingKey == routingKey && request.publication.exchange == exchange
      }
      // One that was given up before is not there any more.
      if isKnown != true { logger.debug("a returned message matches none", metadata: ["exchange": "\(exchange)"]) }
    }
  }

  /// Gives the deliveries of this round to the reader, all at once.
  private func handOver() {
    guard !received.isEmpty, let consumption else { return }
    defer { received.removeAll(keepingCapacity: true) }
    if !consumption.buffer.push(received) {
      lose(.lost("read from the broker", "delivery tags are out of order"))
    }
  }

  // MARK: Methods

  private func takeConnectionMethod(_ method: Method) {
    switch method {
    case .connectionClosed(let code, let text): takeConnectionClose(code, text)
    case .blocked(let reason):
      isBlocked = true
      publishing?.queue.setBlocked(reason)
      eventSink.yield(.blocked(reason: reason))
    case .unblocked:
      isBlocked = false
      publishing?.progressAt = .now
      publishing?.queue.setBlocked(nil)
      eventSink.yield(.unblocked)
    default:
      guard let channel = channels[0], method.answer != nil else { return }
      answer(channel, .method(method))
    }
  }

  private func takeMethod(_ method: Method, on number: UInt16) {
    guard let channel = channels[number] else { return }
    switch method {
    case .acknowledged(let tag, let multiple): settlePublishes(tag, multiple: multiple, isAcknowledged: true)
    case .refused(let tag, let multiple): settlePublishes(tag, multiple: multiple, isAcknowledged: false)
    case .consumerCancelled:
      guard number == Self.mainChannel else { return }
      consumption?.activePrefetch = nil
      eventSink.yield(.consumerCancelled(epoch: epoch))
    case .channelClosed(let code, let text): takeChannelClose(code, text, number, channel)
    case .unexpected(let id):
      logger.debug("a method was ignored", metadata: ["method": "\(id)"])
    default:
      if method.answer == MethodRequest.closeChannel.answer { channels[number] = nil }
      answer(channel, .method(method))
    }
  }

  /// Resumes the oldest call of a channel with its answer.
  private func answer(_ channel: ChannelState, _ reply: ChannelReply) {
    let answer =
      switch reply {
      case .method(let method): method.answer
      case .message: MethodRequest.get(queue: "").answer
      }
    guard let call = channel.calls.popFirst() else {
      return lose(.lost("read from the broker", "an answer came that nothing had asked for"))
    }
    cancelTimeout(call)
    guard call.answer == answer else {
      let error = AMQPError.lost(call.operation, "the broker answered something else")
      call.continuation.resume(returning: .failure(error))
      return lose(error)
    }
    call.continuation.resume(returning: .success(reply))
  }

  private func cancelTimeout(_ call: PendingCall) {
    if let timer = call.timer { executor.cancel(timer) }
  }

  private func takeConnectionClose(_ code: Int, _ text: String) {
    do {
      try handle?.send(.confirmConnectionClosed, channel: 0)
    } catch {
      logger.debug("the close could not be confirmed", metadata: ["error": "\(error)"])
    }
    let pending = channels.values.lazy.compactMap { $0.calls.first?.operation }.first
    let error: AMQPError =
      if let pending {
        .refused(pending, code: code, text: text, scope: .connection)
      } else {
        .lost("keep the connection", code: code, text)
      }
    lose(error)
  }

  private func takeChannelClose(_ code: Int, _ text: String, _ number: UInt16, _ channel: ChannelState) {
    channels[number] = nil
    do {
      try handle?.send(.confirmChannelClosed, channel: number)
    } catch {
      lose(error)
    }
    let error = AMQPError(operation: "keep the channel", code: code, text: text, scope: .channel)
    fail(channel, error)
    guard number == Self.mainChannel else { return }
    if let byteMax = AMQPLimits.messageByteMax(inRefusal: error) { publishing?.queue.lowerBodyLimit(to: byteMax) }
    dropMainChannel(reason: "\(error)")
    eventSink.yield(.channelClosed(epoch: epoch, error))
  }

  /// Fails the calls of a channel. A refusal answers the oldest of them; the others share its fate.
  func fail(_ channel: ChannelState, _ error: AMQPError) {
    let calls = channel.calls
    channel.calls = []
    for call in calls {
      cancelTimeout(call)
      let isRefusal = error.scope == .channel
      let own =
        isRefusal
        ? AMQPError.refused(call.operation, code: error.code ?? 0, text: error.text, scope: .channel)
        : AMQPError(
          operation: call.operation, code: error.code, text: error.text, scope: error.scope,
          isPermanent: error.isPermanent)
      call.continuation.resume(returning: .failure(own))
    }
  }

  /// The main channel is gone: publishes in flight are unknown, unsettled deliveries are void.
  func dropMainChannel(reason: String) {
    received.removeAll()
    if var publishing {
      self.publishing = nil
      publishing.queue.detach()
      publishing.ledger.failAll(reason: reason) { $0.resume($1) }
    }
    consumption?.buffer.invalidate()
    consumption = nil
  }
}

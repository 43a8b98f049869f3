import Testing

@testable import Dispatching

@Suite("Proof of consuming")
struct ConsumptionMonitorTests {
  private typealias Sight = ConsumptionMonitor.Sight

  /// Ticks until the monitor wants something; nil if it wants nothing for a minute.
  private func next(_ monitor: inout ConsumptionMonitor, _ sight: Sight) -> ConsumptionMonitor.Action? {
    for _ in 0..<60 {
      if let action = monitor.tick(sight) { return action }
    }
    return nil
  }

  @Test("the first silent look changes nothing, the second rebuilds the channel, and further ones the connection")
  func silentLooks() {
    var monitor = ConsumptionMonitor()
    let repairs: [ConsumptionMonitor.Repair?] = [nil, .rebuildChannel, .rebuildConnection, .rebuildConnection]
    for repair in repairs {
      var seconds = 0
      while monitor.tick(Sight()) == nil { seconds += 1 }
      #expect(seconds == 4, "a look every five seconds")
      #expect(monitor.looked(ready: 3, receivedCount: 0) == repair)
      #expect(monitor.fault(isConnected: true) != nil)
    }
  }

  @Test("a delivery before, during or after the look, an empty queue, no room, or no answer is no silence")
  func noSilence() {
    var monitor = ConsumptionMonitor()
    // Received since the last look: the queue is not asked.
    #expect(next(&monitor, Sight()) == .look)
    #expect(monitor.looked(ready: 1, receivedCount: 0) == nil)
    var busy = Sight(receivedCount: 1)
    for _ in 0..<60 {
      busy.receivedCount += 1
      #expect(monitor.tick(busy) == nil)
    }
    #expect(monitor.silentLooks == 0 && monitor.fault(isConnected: true) == nil)
    let full = Sight(receivedCount: busy.receivedCount, hasRoom: false)
    #expect(next(&monitor, full) == nil)
    let idle = Sight(receivedCount: busy.receivedCount)
    for ready in [0, nil] as [Int?] {
      #expect(next(&monitor, idle) == .look)
      #expect(monitor.looked(ready: ready, receivedCount: idle.receivedCount) == nil)
      #expect(monitor.silentLooks == 0)
    }
    // While the queue was asked.
    #expect(next(&monitor, idle) == .look)
    #expect(monitor.looked(ready: 5, receivedCount: idle.receivedCount + 1) == nil)
    #expect(monitor.silentLooks == 0)
  }

  @Test("silence that is over is forgotten: it takes two looks again")
  func forgotten() {
    var monitor = ConsumptionMonitor()
    #expect(next(&monitor, Sight()) == .look)
    #expect(monitor.looked(ready: 1, receivedCount: 0) == nil)
    #expect(next(&monitor, Sight()) == .look)
    #expect(monitor.looked(ready: 0, receivedCount: 0) == nil)
    #expect(next(&monitor, Sight()) == .look)
    #expect(monitor.looked(ready: 1, receivedCount: 0) == nil)
    #expect(next(&monitor, Sight()) == .look)
    #expect(monitor.looked(ready: 1, receivedCount: 0) == .rebuildChannel)
  }

  @Test("each reason pauses at once, holds until it is over, and no look is made meanwhile", arguments: [0, 1, 2])
  func pauses(reason: Int) {
    var monitor = ConsumptionMonitor()
    var sight = Sight()
    sight.isKeyWrong = reason == 0
    sight.isCircuitOpen = reason == 1
    sight.isHolderAway = reason == 2
    let pause = [ConsumptionMonitor.Pause.keyMissing, .circuitOpen, .holderAway][reason]
    #expect(monitor.tick(sight) == .pause(pause))
    #expect(next(&monitor, sight) == nil)
    #expect(monitor.fault(isConnected: false) == nil, "whatever pauses is reported elsewhere")
    #expect(monitor.tick(Sight()) == .resume)
    #expect(monitor.pause == nil)
    #expect(next(&monitor, Sight()) == .look)
  }

  @Test("after the worker's circuit one delivery is taken at a time, until a call has succeeded")
  func probing() {
    var monitor = ConsumptionMonitor()
    var sight = Sight(isCircuitOpen: true, isWorkerUnproven: true)
    for _ in 0..<2 {
      sight.isCircuitOpen = true
      #expect(monitor.tick(sight) == .pause(.circuitOpen))
      #expect(!monitor.isProbing)
      sight.isCircuitOpen = false
      #expect(monitor.tick(sight) == .probe)
      #expect(monitor.isProbing && monitor.pause == nil)
    }
    for _ in 0..<20 { #expect(monitor.tick(sight) == nil, "what it has taken may take long") }
    sight.isWorkerUnproven = false
    #expect(monitor.tick(sight) == .resume)
    #expect(!monitor.isProbing)
  }

  @Test("the key comes before the worker, and the worker before the holder")
  func order() {
    var monitor = ConsumptionMonitor()
    var sight = Sight(isKeyWrong: true, isCircuitOpen: true, isHolderAway: true)
    #expect(monitor.tick(sight) == .pause(.keyMissing))
    sight.isKeyWrong = false
    #expect(monitor.tick(sight) == .resume)
    #expect(monitor.tick(sight) == .pause(.circuitOpen))
    sight.isCircuitOpen = false
    #expect(monitor.tick(sight) == .resume)
    #expect(monitor.tick(sight) == .pause(.holderAway))
  }

  @Test("an outage of a minute gives everything back, also while something else pauses, until a lease works again")
  func outage() {
    for isOpen in [false, true] {
      var monitor = ConsumptionMonitor()
      var sight = Sight(isCircuitOpen: isOpen)
      sight.outage = .seconds(60)
      #expect(monitor.tick(sight) == (isOpen ? .pause(.circuitOpen) : nil))
      sight.outage = .seconds(61)
      #expect(monitor.tick(sight) == .pause(.databaseAway))
      #expect(monitor.fault(isConnected: true) == "deliveries were requeued because Postgres does not answer")
      sight.outage = nil
      #expect(next(&monitor, sight) == nil)
      sight.isDatabaseBack = true
      #expect(monitor.tick(sight) == .resume)
    }
  }

  @Test("without a connection the fault says so")
  func disconnected() {
    #expect(ConsumptionMonitor().fault(isConnected: true) == nil)
    #expect(ConsumptionMonitor().fault(isConnected: false) == "there is no connection to the broker")
  }
}

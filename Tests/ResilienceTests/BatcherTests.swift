import Resilience
import Support
import Testing

@Suite("Batcher")
struct BatcherTests {
  @Test("a lone input starts at once; later inputs collect into the next batch, first in, first out")
  func collects() async throws {
    let (latch, batches) = (Latch(), Recorder<[Int]>())
    let batcher = Batcher<Int, Int>(maxBatch: 100) { inputs in
      await batches.add(inputs)
      await latch.pass()
      return inputs.map { .success($0 * 10) }
    }
    let first = Task { try await batcher.submit(0) }
    try await eventually { await latch.arrivals == 1 }
    var rest: [Task<Int, any Error>] = []
    for number in 1...50 {
      rest.append(Task { try await batcher.submit(number) })
      try await eventually { batcher.waitingCount == number }
    }
    await latch.open()
    #expect(try await first.value == 0)
    for (index, task) in rest.enumerated() { #expect(try await task.value == (index + 1) * 10) }
    #expect(await batches.elements == [[0], Array(1...50)])
  }

  @Test("no batch is larger than the maximum and no more than the lanes are in flight", arguments: [1, 3])
  func bounds(lanes: Int) async throws {
    let (latch, batches) = (Latch(), Recorder<Int>())
    let batcher = Batcher<Int, Int>(maxBatch: 7, lanes: lanes) { inputs in
      await batches.add(inputs.count)
      await latch.pass()
      return inputs.map { .success($0) }
    }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<500 { group.addTask { try await batcher.submit(number) == number } }
      try await eventually { batcher.waitingCount >= 500 - lanes * 7 }
      #expect(await latch.arrivals <= lanes)
      await latch.open()
      for try await isRight in group { #expect(isRight) }
    }
    let sizes = await batches.elements
    #expect(sizes.reduce(0, +) == 500)
    #expect(sizes.max() == 7)
  }

  @Test("each input gets its own result or error")
  func errorsByPosition() async throws {
    let batcher = Batcher<Int, Int>(maxBatch: 8) { inputs in
      inputs.map { $0.isMultiple(of: 2) ? .success($0) : .failure(TestError(number: $0)) }
    }
    await withTaskGroup { group in
      for number in 0..<200 {
        group.addTask {
          let result = await Result { try await batcher.submit(number) }
          switch result {
          case .success(let value): #expect(value == number && number.isMultiple(of: 2))
          case .failure(let error): #expect(error as? TestError == TestError(number: number))
          }
        }
      }
    }
  }

  @Test("a wrong number of results fails the whole batch", arguments: [0, 2])
  func wrongCount(count: Int) async {
    let batcher = Batcher<Int, Int>(maxBatch: 8) { _ in Array(repeating: .success(1), count: count) }
    await #expect(throws: BatchResultMissing.self) { try await batcher.submit(1) }
  }

  @Test("cancelled while waiting, an input is withdrawn; cancelled in flight, it gets its result")
  func cancellation() async throws {
    let (latch, seen) = (Latch(), Recorder<[Int]>())
    let batcher = Batcher<Int, Int>(maxBatch: 100) { inputs in
      await seen.add(inputs)
      await latch.pass()
      return inputs.map { .success($0) }
    }
    let inFlight = Task { try await batcher.submit(0) }
    try await eventually { await latch.arrivals == 1 }
    var waiting: [Task<Int, any Error>] = []
    for number in 1...10 {
      waiting.append(Task { try await batcher.submit(number) })
      try await eventually { batcher.waitingCount == number }
    }
    inFlight.cancel()
    for index in [0, 4, 9] {
      waiting[index].cancel()
      await #expect(throws: CancellationError.self) { try await waiting[index].value }
    }
    #expect(batcher.waitingCount == 7)
    await latch.open()
    #expect(try await inFlight.value == 0)
    for index in [1, 2, 3, 5, 6, 7, 8] { #expect(try await waiting[index].value == index + 1) }
    #expect(await seen.elements == [[0], [2, 3, 4, 6, 7, 8, 9]])
  }

  @Test("an input of a cancelled task never runs")
  func cancelledBefore() async {
    let batcher = Batcher<Int, Int>(maxBatch: 1) { inputs in
      #expect(Bool(false), "ran")
      return inputs.map { .success($0) }
    }
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await batcher.submit(1)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test("with cancellations at random, every submit ends once, and withdrawn inputs have not run")
  func randomCancellations() async {
    let ran = Recorder<Int>()
    let batcher = Batcher<Int, Int>(maxBatch: 16, lanes: 2) { inputs in
      for input in inputs { await ran.add(input) }
      return inputs.map { .success($0) }
    }
    let withdrawn = Recorder<Int>()
    await withDiscardingTaskGroup { group in
      for number in 0..<5000 {
        group.addTask {
          let task = Task { try await batcher.submit(number) }
          if number % 3 == 0 { task.cancel() }
          do {
            let value = try await task.value
            #expect(value == number)
          } catch {
            await withdrawn.add(number)
          }
        }
      }
    }
    let (done, gone) = (Set(await ran.elements), Set(await withdrawn.elements))
    #expect(await ran.elements.count == done.count)
    #expect(done.isDisjoint(with: gone))
    #expect(done.union(gone) == Set(0..<5000))
  }
}

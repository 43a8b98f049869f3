import Foundation
import Primitives
import Reviews
import Support
import Testing
import WorkerAPI
import WorkerClient

@Suite("Starts of the worker, repeated", .timeLimit(.minutes(5)))
struct WorkerStartTests {
  /// Prints all the time until it may end, and then a line that was begun before.
  private static let chatting = """
    echo x >>FOLDER/begun; n=0
    until [ -e FOLDER/enough ]; do n=$((n+1)); echo "line $n"; sleep 0.005; done
    printf 'half '; echo x >>FOLDER/half
    until [ -e FOLDER/go ]; do sleep 0.02; done
    echo 'a line'; echo '{"sessionId":"s-1","usage":{"totalTokensIn":7}}'; echo "$n" >FOLDER/count
    """

  @Test("the same start again while events are buffered and callbacks wait changes, loses and runs nothing")
  func whileBuffered() async throws {
    try await withWorker(agent: Self.chatting) { worker, sink in
      sink.isRefusing = true
      let id = UUID()
      _ = await worker.start(id)
      try await eventually("events") { try await worker.messages(id).count > 2 }
      // Some lines are printed and not read yet, some read and not written yet, whenever these come.
      await startAgain(id, worker)
      worker.touch("enough")
      try await eventually("half a line is printed") { worker.lines("half").count == 1 }
      let before = try #require(await worker.status(id))
      await startAgain(id, worker)
      #expect(await worker.status(id) == before)
      #expect(sink.received.isEmpty)
      worker.touch("go")
      try await eventually("completed") { await worker.state(id) == .completed }
      #expect(await worker.start(id)?.status == .completed)
      let count = try #require(worker.lines("count").first.flatMap { Int($0) })
      #expect(try await worker.messages(id) == (0..<count).map { "line \($0 + 1)" } + ["half a line"])
      sink.isRefusing = false
      try await eventually("reported") { sink.statuses(of: id).last == .completed }
      #expect(sink.statuses(of: id).first == .running && sink.statuses(of: id).count { $0 == .completed } == 1)
      let end = try #require(sink.received.last?.callback)
      #expect(end.sessionId == "s-1" && end.usage?.totalTokensIn == 7)
      #expect(worker.lines("begun").count == 1)
      #expect(await worker.stop() == 0)
    }
  }

  /// Fifty starts of a run that runs, ten at once, each with another payload, as from a dispatcher that has prepared it again.
  private func startAgain(_ id: UUID, _ worker: WorkerTestCluster) async {
    let client = worker.client
    let body = WorkerTestCluster.request(id, prompt: "another prompt").encode()
    await withDiscardingTaskGroup { group in
      for _ in 0..<10 {
        group.addTask {
          for _ in 0..<5 {
            let outcome = await client.start(body, reviewID: id, attempt: 1, trace: nil)
            #expect(outcome == .dispatched(StartResponse(reviewId: id, status: .running, agentVersion: nil)))
          }
        }
      }
    }
  }
}

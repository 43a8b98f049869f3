/// Always the least or the greatest number.
struct Constant: RandomNumberGenerator {
  let value: UInt64
  mutating func next() -> UInt64 { value }
}

struct TestError: Error, Equatable { var number = 0 }

/// Lets tasks through once it is open, and counts the tasks that have come.
actor Latch {
  private var isOpen = false
  private(set) var arrivals = 0
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func pass() async {
    arrivals += 1
    if !isOpen { await withCheckedContinuation { waiting.append($0) } }
  }

  func open() {
    isOpen = true
    for continuation in waiting { continuation.resume() }
    waiting = []
  }
}

actor Recorder<Element: Sendable> {
  private(set) var elements: [Element] = []
  func add(_ element: Element) { elements.append(element) }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

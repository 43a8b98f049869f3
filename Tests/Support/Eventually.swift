/// Polls until a condition holds, and fails after a minute: for what only a query of a server can show.
/// - Parameter what: what is waited for, for the message; nil names the place in the test.
package func eventually(
  _ what: String? = nil, isolation: isolated (any Actor)? = #isolation, fileID: String = #fileID, line: Int = #line,
  _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(60)
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw NeverHappened(what: what ?? "what \(fileID):\(line) waits for") }
    try await Task.sleep(for: .milliseconds(10))
  }
}

/// What a test waited for and did not get.
package struct NeverHappened: Error, CustomStringConvertible {
  package let what: String

  package init(what: String) { self.what = what }

  package var description: String { "after a minute there is still no sign of: \(what)" }
}

internal import ReviewStore

/// Gives each of a batch its own result. A batch that fails because of a row is run again in halves: all but that row have their results, and the
/// row has a ``RowFault``. If an empty batch fails as well, the cause is no row.
func resultsInHalves<Input: Sendable, Output: Sendable>(
  _ inputs: some BidirectionalCollection<Input> & Sendable,
  _ run: @Sendable (ArraySlice<Input>) async throws -> [Output]
) async -> [Result<Output, any Error>] {
  let inputs = ArraySlice(inputs)
  do {
    return try await run(inputs).map { .success($0) }
  } catch {
    guard let fault = error as? any LedgerFault, fault.mayBeAboutOneRow, !inputs.isEmpty, (try? await run([])) != nil
    else { return Array(repeating: .failure(error), count: inputs.count) }
    guard inputs.count > 1 else { return [.failure(RowFault(fault))] }
    let middle = inputs.startIndex + inputs.count / 2
    return await resultsInHalves(inputs[..<middle], run) + resultsInHalves(inputs[middle...], run)
  }
}

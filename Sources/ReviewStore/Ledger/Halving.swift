/// Runs a statement for a batch, and gives each of its inputs a result. If it fails because of a row, it is run again for each half: all but that
/// row then have their results, and the row has a ``RowFault``. What fails without a row as well is no row's fault, and is not tried in halves.
///
/// Each row that waits for a lock costs `lock_timeout`, one after another. So after a few waits the rows that are left have a ``RowFault`` too,
/// and their callers try them apart from others.
/// - Parameters:
///   - inputs: of the batch.
///   - lockWaitMax: how often a lock is waited for.
///   - run: the statement; gives an output for each input, in the same order.
/// - Returns: a result for each input, in the same order.
package func eachInHalves<Input: Sendable, Output: Sendable>(
  _ inputs: [Input], lockWaitMax: Int = 4, _ run: @Sendable (ArraySlice<Input>) async throws -> [Output]
) async -> [Result<Output, any Error>] {
  var results: [(start: Int, part: [Result<Output, any Error>])] = []
  var parts = [inputs[...]]
  var worksWithoutRow: Bool?
  var lockWaits = 0
  // What all parts have that are left.
  var ending: (any Error)?
  while !parts.isEmpty {
    let part = parts.removeFirst()
    do {
      if let ending { throw ending }
      results.append((part.startIndex, try await run(part).map { .success($0) }))
    } catch {
      var failure = error
      if ending == nil, let fault = error as? any LedgerFault {
        if fault.mayBeAboutOneRow, worksWithoutRow == nil { worksWithoutRow = (try? await run([])) != nil }
        if fault.mayBeAboutOneRow, worksWithoutRow == true {
          failure = RowFault(fault)
          if fault.faultKind == .busy { lockWaits += 1 }
          if lockWaits >= lockWaitMax { ending = failure }
          if part.count > 1, ending == nil {
            let middle = part.startIndex + part.count / 2
            parts += [part[..<middle], part[middle...]]
            continue
          }
        } else if fault.faultKind == .unreachable {
          ending = error
        }
      }
      results.append((part.startIndex, Array(repeating: .failure(failure), count: part.count)))
    }
  }
  return results.sorted { $0.start < $1.start }.flatMap(\.part)
}

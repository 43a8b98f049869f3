import Primitives
import Reviews

#if !FUZZER
  @testable import baton
#endif

/// Files and pipes of `baton submit`: how they come in pieces changes nothing.
func fuzzLines(_ bytes: [UInt8]) throws {
  var input = FuzzInput(bytes)
  let pieceByteCount = Int(input.byte() % 64) + 1
  // A longer document is given up at the piece that is too much.
  let text = Array(input.bytes.prefix(documentByteCountMax))
  let whole = read(text, by: max(text.count, 1))
  let pieces = read(text, by: pieceByteCount)
  try promise(whole == pieces, "\(whole.count) entries, and \(pieces.count) in pieces of \(pieceByteCount)")
}

private let documentByteCountMax = 8_192

private func read(_ bytes: [UInt8], by byteCount: Int) -> [SubmissionReader.Entry] {
  var reader = SubmissionReader(lineByteCountMax: 1_024, documentByteCountMax: documentByteCountMax)
  var entries: [SubmissionReader.Entry] = []
  var rest = bytes[...]
  while !rest.isEmpty {
    entries += reader.take(rest.prefix(byteCount))
    rest = rest.dropFirst(byteCount)
  }
  return entries + reader.finish()
}

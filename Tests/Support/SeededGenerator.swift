internal import Foundation

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// - Parameter seed: printed if a test fails; it starts the same run again, see ``seed()``.
  package init(seed: UInt64) { state = seed }

  /// The seed of a run: BATON_TEST_SEED, or another one each time.
  package static func seed() -> UInt64 {
    ProcessInfo.processInfo.environment["BATON_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Changes a few bytes, cuts something out, or writes something twice.
  package mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...8, using: &self) where !bytes.isEmpty {
      let start = Int.random(in: bytes.indices, using: &self)
      let end = min(bytes.count, start + Int.random(in: 1...40, using: &self))
      switch Int.random(in: 0..<10, using: &self) {
      case 0: bytes.removeSubrange(start..<end)
      case 1: bytes.insert(contentsOf: bytes[start..<end], at: start)
      case 2: bytes.insert(contentsOf: Self.words.randomElement(using: &self).map { Array($0.utf8) } ?? [], at: start)
      default: bytes[start] = UInt8.random(in: 0...255, using: &self)
      }
    }
    return bytes
  }

  /// What readers of JSON stumble over.
  private static let words = [
    "null", "{}", "[]", "\"", "\\u0000", "\\ud800", "1e999", "-9223372036854775809", "99999999999999999999", "true",
    "\u{FEFF}", "{\"a\":", "[[[[[[[[", ",", ":", "\\", "\u{0}",
  ]
}

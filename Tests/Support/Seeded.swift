internal import Foundation

/// SplitMix64: the same numbers from the same seed.
package struct Seeded: RandomNumberGenerator {
  /// Prints on failure, and starts the same run again as `BATON_TEST_SEED`.
  package let seed: UInt64
  private var state: UInt64

  package init(_ seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// The seed that `BATON_TEST_SEED` asks for, else one that nobody had before.
  package static func fromEnvironment() -> Seeded {
    let asked = ProcessInfo.processInfo.environment["BATON_TEST_SEED"].flatMap { UInt64($0) }
    return Seeded(asked ?? UInt64.random(in: 0...999_999_999))
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

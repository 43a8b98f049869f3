/// Random numbers from a seed (SplitMix64). Streams of different purposes do not disturb each other: what one draws changes nothing for the
/// others, so that a smaller scenario stays as similar as possible.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// - Parameters:
  ///   - seed: of the whole run.
  ///   - stream: the purpose.
  package init(seed: UInt64, stream: UInt64 = 0) {
    state = seed &* 0x9E37_79B9_7F4A_7C15 ^ stream &* 0xD1B5_4A32_D192_ED03
    _ = next()
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number below a bound, at least 1.
  mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

  /// From 0 to 1.
  mutating func fraction() -> Double { Double(next() >> 11) / Double(UInt64(1) << 53) }

  mutating func chance(_ probability: Double) -> Bool { fraction() < probability }

  /// A time between two others, in whole microseconds.
  mutating func duration(_ range: ClosedRange<Duration>) -> Duration {
    let span = (range.upperBound - range.lowerBound) / .microseconds(1)
    return range.lowerBound + .microseconds(Int64(span * fraction()))
  }

  mutating func element<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }
}

// `deploy/prove fuzz --growth`: whether four times as much input takes much more than four times as long.
#if FUZZER
  /// Makes large inputs of a small one by repeating parts of it, and compares times.
  struct Growth {
    let target: FuzzTarget
    let input: [UInt8]

    private static let byteCount = 48 << 10
    private static let factor = 4
    /// With a linear reader it is about the factor; what caches and allocators add stays below this.
    private static let ratioMax = 9.0
    /// Shorter times say nothing.
    private static let durationMin = Duration.milliseconds(40)

    /// - Returns: a line for each part whose repetition takes too long.
    func faults() -> [String] {
      parts().compactMap { part in
        let (short, long) = (time(part, Self.byteCount), time(part, Self.byteCount * Self.factor))
        guard long > Self.durationMin, long / short > Self.ratioMax else { return nil }
        // Once more: something else may have taken the processor.
        let ratio = time(part, Self.byteCount * Self.factor) / min(short, time(part, Self.byteCount))
        guard ratio > Self.ratioMax else { return nil }
        let text = String(decoding: input[part].prefix(80), as: UTF8.self).debugDescription
        return
          "\(target.rawValue): \(text) repeated: \(Self.factor) times as much takes \(Int(ratio)) times as long, \(long)"
      }
    }

    /// Some parts of each length, spread over the input.
    private func parts() -> [Range<Int>] {
      [1, 2, 3, 5, 8, 16, 40, 120].flatMap { length -> [Range<Int>] in
        guard input.count >= length else { return [] }
        let starts = input.count - length
        let step = max(1, starts / 12)
        return stride(from: 0, through: starts, by: step).map { $0..<$0 + length }
      }
    }

    private func time(_ part: Range<Int>, _ byteCount: Int) -> Duration {
      let count = byteCount / part.count
      let bytes =
        input[..<part.lowerBound] + Array(repeating: input[part], count: count).joined() + input[part.upperBound...]
      let grown = Array(bytes)
      return ContinuousClock().measure { _ = try? target.run(grown) }
    }
  }
#endif

// The entry of libFuzzer: compiled by `deploy/prove fuzz` alone.
#if FUZZER
  import Glibc

  /// From the environment, as libFuzzer has the arguments to itself.
  private let target: FuzzTarget = {
    let name = getenv("BATON_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
      fatalError("BATON_FUZZ_TARGET: expected \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return target
  }()

  private let looksAtGrowth = getenv("BATON_FUZZ_GROWTH") != nil

  private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

  @_silgen_name("LLVMFuzzerRunDriver")
  private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<Arguments?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
  ) -> CInt

  /// What the package manager links as the program's entry, in place of libFuzzer's own.
  @_cdecl("baton_fuzz_main")
  public func fuzz(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    var (count, arguments) = (count, arguments)
    return runDriver(&count, &arguments, testOneInput)
  }

  /// Called by libFuzzer with each input.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if looksAtGrowth {
      for fault in Growth(target: target, input: bytes).faults() {
        let line = Array("growth: \(fault)\n".utf8)
        _ = write(1, line, line.count)
      }
      return 0
    }
    do {
      try target.run(bytes)
    } catch {
      fatalError("\(error)")
    }
    return 0
  }
#endif

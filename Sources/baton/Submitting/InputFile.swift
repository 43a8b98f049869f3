internal import Glibc

/// A file, or standard input, read piece by piece.
struct InputFile: ~Copyable {
  private let descriptor: Int32
  private let path: String

  /// - Parameter path: `-` is standard input.
  init(_ path: String) throws(Failure) {
    self.path = path
    descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.failed, "\(path) cannot be read: \(String(cString: strerror(errno)))") }
  }

  deinit {
    if descriptor > 2 { close(descriptor) }
  }

  /// What there is, at most 64 KiB; empty at the end. Waits for more, as long as the writing process takes.
  func read() throws(Failure) -> [UInt8] {
    while true {
      var isFailed = false
      let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
        let result = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        isFailed = result < 0
        count = max(0, result)
      }
      guard isFailed else { return bytes }
      guard errno == EINTR else {
        throw Failure(.failed, "\(path) cannot be read: \(String(cString: strerror(errno)))")
      }
    }
  }
}

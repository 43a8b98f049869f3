internal import Glibc

/// Standard output, which other programs read: each line is written at once.
enum StandardOutput {
  static func line(_ text: String) {
    var bytes = Array("\(text)\n".utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      guard count > 0 || errno == EINTR else { return }
      bytes.removeFirst(max(count, 0))
    }
  }
}

/// Why a command ends without success.
struct CommandFault: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

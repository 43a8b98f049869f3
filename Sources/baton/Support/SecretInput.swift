internal import Glibc
internal import Primitives
internal import Reviews

/// A secret from a file, standard input or a terminal: never from the command line, which every process of the machine can read.
enum SecretInput {
  /// Tokens of GitHub and GitLab are far shorter.
  static let byteCountMax = 16_384

  /// Reads a secret; white space at its ends does not count.
  /// - Parameters:
  ///   - name: what it is, for messages: `token`.
  ///   - path: `-` is standard input; if that is a terminal, the input is not shown.
  static func read(_ name: String, from path: String) throws(Failure) -> Secret {
    try check(path == "-" && Terminal.canAsk ? ask(name) : bytes(of: path, name), name, path)
  }

  /// Judges what was read.
  static func check(_ bytes: [UInt8], _ name: String, _ path: String) throws(Failure) -> Secret {
    let source = path == "-" ? "standard input" : path
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.failed, "\(source) is not UTF-8 text, so it holds no \(name)")
    }
    text = String(text.drop(while: \.isWhitespace))
    while text.last?.isWhitespace == true { text.removeLast() }
    guard !text.isEmpty else { throw Failure(.failed, "\(source) is empty; give the \(name) in it") }
    guard text.unicodeScalars.allSatisfy({ $0.value > 32 && $0.value != 127 }) else {
      throw Failure(
        .failed, "the \(name) in \(source) holds a space, a line break or a control character: give it alone")
    }
    return Secret(text)
  }

  private static func bytes(of path: String, _ name: String) throws(Failure) -> [UInt8] {
    let input = try InputFile(path)
    var bytes: [UInt8] = []
    while true {
      let piece = try input.read()
      guard !piece.isEmpty else { return bytes }
      bytes += piece
      guard bytes.count <= byteCountMax else {
        throw Failure(.failed, "\(path) is longer than \(byteCountMax) bytes, so it is no \(name)")
      }
    }
  }

  private static func ask(_ name: String) throws(Failure) -> [UInt8] {
    guard let typed = getpass("\(name): ") else {
      throw Failure(.failed, "the \(name) cannot be asked for: \(String(cString: strerror(errno)))")
    }
    let length = strlen(typed)
    defer { memset(typed, 0, length) }
    return typed.withMemoryRebound(to: UInt8.self, capacity: length) {
      Array(UnsafeBufferPointer(start: $0, count: length))
    }
  }
}

internal import Glibc

/// The file of a secret, which a setting names as `@/path`.
enum SecretFile {
  /// Far more than a private key has.
  private static let byteCountMax = 65_536

  /// - Throws: without the path: a secret that begins with `@` would show.
  static func read(_ path: String) throws(SettingFault) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(errno) }
      guard count > 0 else { break }
      bytes += piece[..<count]
      guard bytes.count <= byteCountMax else {
        throw SettingFault("begins with '@', so it names a file; that file is longer than \(byteCountMax) bytes")
      }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SettingFault("begins with '@', so it names a file; that file is not UTF-8 text")
    }
    return text
  }

  /// Whether every user of this machine may read a file, as far as its own rights say.
  static func isReadableByAll(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_mode & S_IROTH != 0
  }

  private static func unreadable(_ code: Int32) -> SettingFault {
    SettingFault("begins with '@', so it names a file; that file cannot be read: \(String(cString: strerror(code)))")
  }
}

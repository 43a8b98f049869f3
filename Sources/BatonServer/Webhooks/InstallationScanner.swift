/// Finds the installation that a webhook of GitHub names before its sender is known: which secret its signature is compared with may depend
/// on it.
///
/// One pass over the bytes, without memory: nothing is decoded, no text is made, and depth is a number. So a stranger's body costs no more
/// than its hash. Bytes that are no JSON have some answer or none; it counts only together with a signature of the same bytes.
struct InstallationScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  /// `installation.id`: the number that is the field `id` of the object that is the field `installation` of the whole text.
  static func installation(in bytes: UnsafeRawBufferPointer) -> Int64? {
    var scanner = InstallationScanner(bytes: bytes)
    return scanner.inField("installation") { $0.inField("id") { $0.number() } }
  }

  /// A field of the whole text that is a string without escapes: what says of which kind an event is that has too much in it to be decoded.
  static func text(of field: StaticString, in bytes: UnsafeRawBufferPointer) -> String? {
    var scanner = InstallationScanner(bytes: bytes)
    return scanner.inField(field) { $0.text() }
  }

  private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// Looks for a field of the object that begins here. A name that is written with escapes is another one.
  /// - Parameter read: is called at the field's value.
  private mutating func inField<Value>(
    _ name: StaticString, _ read: (inout InstallationScanner) -> Value?
  ) -> Value? {
    skipSpace()
    guard next == UInt8(ascii: "{") else { return nil }
    position += 1
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { return nil }
      let start = position + 1
      skipString()
      let isFound =
        position - 1 - start == name.utf8CodeUnitCount
        && (0..<name.utf8CodeUnitCount).allSatisfy { bytes[start + $0] == name.utf8Start[$0] }
      skipSpace()
      guard next == UInt8(ascii: ":") else { return nil }
      position += 1
      skipSpace()
      if isFound { return read(&self) }
      skipValue()
      skipSpace()
      guard next == UInt8(ascii: ",") else { return nil }
      position += 1
    }
  }

  private mutating func text() -> String? {
    guard next == UInt8(ascii: "\"") else { return nil }
    let start = position + 1
    skipString()
    guard position <= bytes.count, position - 1 >= start, bytes[position - 1] == UInt8(ascii: "\"") else { return nil }
    let text = bytes[start..<position - 1]
    return text.contains(UInt8(ascii: "\\")) ? nil : String(decoding: text, as: UTF8.self)
  }

  private mutating func number() -> Int64? {
    var value: Int64 = 0
    let start = position
    while let byte = next, (0x30...0x39).contains(byte) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int64(byte - 0x30))
      guard !overflow, !carry else { return nil }
      value = sum
      position += 1
    }
    skipSpace()
    let isWhole = position > start && (next == UInt8(ascii: ",") || next == UInt8(ascii: "}"))
    return isWhole ? value : nil
  }

  /// From a quote to behind the one that ends the string.
  private mutating func skipString() {
    position += 1
    while let byte = next {
      position += 1
      if byte == UInt8(ascii: "\"") { return }
      if byte == UInt8(ascii: "\\") { position += 1 }
    }
  }

  /// To behind a value, whatever is in it.
  private mutating func skipValue() {
    var depth = 0
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        skipString()
        if depth == 0 { return }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        // The end of what this value is in.
        guard depth > 0 else { return }
        depth -= 1
        if depth == 0 {
          position += 1
          return
        }
      case UInt8(ascii: ",") where depth == 0: return
      default: break
      }
      position += 1
    }
  }
}

extension String {
  /// The text as one segment of a path or one value of a query: everything but unreserved characters
  /// (RFC 3986, 2.3) is encoded.
  package var percentEncoded: String {
    var result = ""
    result.reserveCapacity(utf8.count)
    for byte in utf8 {
      switch byte {
      case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        result += byte < 16 ? "%0" : "%"
        result += String(byte, radix: 16, uppercase: true)
      }
    }
    return result
  }
}

extension String {
  /// As Postgres can store it: without NUL, which it refuses (SQLSTATE 22021), and at most 8 KiB.
  ///
  /// For texts of workers and platforms. One bad answer would otherwise fail its whole batch, again and again.
  package var storable: String {
    let byteCountMax = 8_192
    // Looked at first: nearly every text is stored as it is.
    guard utf8.count > byteCountMax || utf8.contains(0) else { return self }
    var text = String.UnicodeScalarView()
    var byteCount = 0
    for scalar in unicodeScalars where scalar.value != 0 {
      byteCount += UTF8.width(scalar)
      guard byteCount <= byteCountMax else { break }
      text.append(scalar)
    }
    return String(text)
  }
}

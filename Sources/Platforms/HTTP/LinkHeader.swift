/// The `Link` header of RFC 8288, as far as paging needs it.
enum LinkHeader {
  /// The target of a relation, as in `<https://…?page=2>; rel="next", <…>; rel="last"`.
  ///
  /// Commas and semicolons inside the angle brackets belong to the address. Several relations may share one `rel`.
  static func target(of relation: String, in header: String) -> String? {
    var rest = header[...]
    while let open = rest.firstIndex(of: "<") {
      let afterOpen = rest[rest.index(after: open)...]
      guard let close = afterOpen.firstIndex(of: ">") else { return nil }
      let address = afterOpen[..<close]
      let afterAddress = afterOpen[afterOpen.index(after: close)...]
      let parameters = afterAddress[..<endOfParameters(in: afterAddress)]
      if relations(in: parameters).contains(relation.lowercased()) { return String(address) }
      rest = afterAddress[parameters.endIndex...]
    }
    return nil
  }

  /// Where the comma stands that ends this link's parameters; one in quotes ends nothing.
  private static func endOfParameters(in text: Substring) -> Substring.Index {
    var isQuoted = false
    for index in text.indices {
      if text[index] == "\"" { isQuoted.toggle() }
      if text[index] == "," && !isQuoted { return index }
    }
    return text.endIndex
  }

  private static func relations(in parameters: Substring) -> [String] {
    for parameter in parameters.split(separator: ";") {
      let parts = parameter.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, trimmed(parts[0]).lowercased() == "rel" else { continue }
      return trimmed(parts[1]).lowercased().split(separator: " ").map(String.init)
    }
    return []
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" || first == "\"" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" || last == "\"" { text.removeLast() }
    return text
  }
}

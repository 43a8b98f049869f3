internal import HTTPKit
internal import ReviewStore
internal import Reviews

extension HTML {
  /// A form that changes something and leads back to its page; nothing for those who only look.
  /// - Parameters:
  ///   - back: the page's address.
  ///   - label: of its button.
  ///   - kind: of its button.
  static func form(
    _ path: String, _ visitor: Visitor, back: String, _ fields: HTML = .none, label: HTML,
    kind: String = "primary"
  ) -> HTML {
    guard visitor.right == .act else { return .none }
    return """
      <form class="filters" method="post" action="\(path)">\
      <input type="hidden" name="csrf" value="\(visitor.csrfToken)"/><input type="hidden" name="back" value="\(back)"/>\(fields)\
      <button type="submit" class="\(kind)">\(label)</button></form>
      """
  }

  static func hidden(_ name: String, _ value: String) -> HTML {
    "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\"/>"
  }

  /// A field for a text.
  /// - Parameter isWide: for an address.
  static func field(
    _ label: HTML, _ name: String, isWide: Bool = false, value: String = "", example: String = ""
  ) -> HTML {
    """
    <label\(isWide ? " class=\"address\"" : HTML.none)>\(label) <input name="\(name)" value="\(value)" placeholder="\(example)" autocapitalize="none" spellcheck="false"/></label>
    """
  }

  /// A field for a secret, which is never shown again.
  static func secretField(_ label: HTML, _ name: String) -> HTML {
    "<label>\(label) <input type=\"password\" name=\"\(name)\" autocomplete=\"off\" spellcheck=\"false\"/></label>"
  }

  /// What is shown at the second look, as it changes much.
  static func details(_ summary: HTML, _ content: HTML) -> HTML {
    content == .none ? .none : "<details><summary>\(summary)</summary>\(content)</details>"
  }
}

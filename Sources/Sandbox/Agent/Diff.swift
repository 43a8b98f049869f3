/// What a pull request changes in one file.
struct FileDiff: Sendable, Equatable {
  var path: String
  /// Lines that were added, with their numbers in the new file.
  var added: [(line: Int, text: String)]
  /// Whether the platform gave the difference: it leaves out those of large and binary files.
  var isShown: Bool

  static func == (left: FileDiff, right: FileDiff) -> Bool {
    left.path == right.path && left.isShown == right.isShown && left.added.elementsEqual(right.added, by: { $0 == $1 })
  }

  /// - Parameter patch: hunks in the unified format, without the file's head; nil if the platform gave none.
  init(path: String, patch: String?) {
    self.path = path
    added = []
    isShown = patch != nil
    var number = 0
    for line in (patch ?? "").split(separator: "\n", omittingEmptySubsequences: false) {
      switch line.first {
      case "@": number = Self.firstLine(ofHunk: line)
      case "+":
        added.append((number, String(line.dropFirst())))
        number &+= 1
      case "-", "\\": break
      default: number &+= 1
      }
    }
  }

  /// `@@ -12,7 +12,8 @@ …` begins at 12.
  private static func firstLine(ofHunk head: Substring) -> Int {
    guard let plus = head.firstIndex(of: "+") else { return 1 }
    return Int(head[head.index(after: plus)...].prefix(while: \.isNumber)) ?? 1
  }
}

/// The known word that takes the fewest insertions, deletions and replacements to come to.
func nearest(_ word: String, _ known: [String]) -> String {
  let word = word.lowercased().replacing("-", with: "_")
  return known.min { distance(word, $0.lowercased()) < distance(word, $1.lowercased()) } ?? ""
}

/// The known word that takes the fewest insertions, deletions and replacements to come to, if they are few.
package func nearest(_ word: String, _ known: [String], within distanceMax: Int) -> String? {
  let word = word.lowercased()
  return known.map { (word: $0, distance: distance(word, $0.lowercased())) }.filter { $0.distance <= distanceMax }
    .min { $0.distance < $1.distance }?.word
}

extension Settings {
  /// Whether a flag may have been meant for a setting that is a secret: it differs by a few letters.
  package static func isNearSecret(flag: String) -> Bool {
    definitions.contains { name in
      name.isSecret && distance(flag.lowercased(), name.key.flag) <= min(3, name.key.flag.utf8.count / 4)
    }
  }
}

/// Levenshtein's distance, by rows.
private func distance(_ first: String, _ second: String) -> Int {
  let (first, second) = (Array(first.utf8.prefix(100)), Array(second.utf8))
  var row = Array(0...second.count)
  for (index, byte) in first.enumerated() {
    var diagonal = row[0]
    row[0] = index + 1
    for column in second.indices {
      let replaced = diagonal + (byte == second[column] ? 0 : 1)
      diagonal = row[column + 1]
      row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
    }
  }
  return row[second.count]
}

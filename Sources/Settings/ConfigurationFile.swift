internal import FoundationEssentials
internal import Yams

/// A configuration file's keys and texts. YAML; JSON as well, as it is a part of YAML but for its tabs.
enum ConfigurationFile {
  static func read(_ path: String) throws(SettingsError) -> [String: String] {
    let text: String
    do {
      text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
    } catch {
      throw SettingsError(faults: ["configuration file \(path): cannot be read as UTF-8 text; check path and rights"])
    }
    return try parse(text, path: path)
  }

  /// - Parameter path: for the messages. They do not quote the file: a line of it may hold a secret.
  static func parse(_ text: String, path: String) throws(SettingsError) -> [String: String] {
    let root: Node?
    do {
      // A tab may indent JSON but not YAML; within a JSON string it must be escaped, so replacing it changes no value.
      let isJSON = text.first { !$0.isWhitespace } == "{"
      root = try Yams.compose(yaml: isJSON ? text.replacing("\t", with: " ") : text)
    } catch {
      throw SettingsError(faults: ["configuration file \(path): is neither YAML nor JSON\(place(of: error))"])
    }
    guard let root, root.null == nil else { return [:] }
    guard case .mapping(let mapping) = root else {
      throw SettingsError(faults: ["configuration file \(path): is not a list of `key: value`, such as `prefetch: 256`"]
      )
    }
    var values: [String: String] = [:]
    var faults: [String] = []
    for (key, node) in mapping {
      guard let key = key.string else {
        faults.append("configuration file \(path): has a key that is not a plain word")
        continue
      }
      if let value = scalar(node) {
        values[key] = value
      } else if node.null == nil {
        faults.append(
          "configuration file \(path): `\(ShownValue.name(key))` must be one value, or a list of plain values")
      }
    }
    guard faults.isEmpty else { throw SettingsError(faults: faults) }
    return values
  }

  /// A scalar's text, or a list's, comma-separated; `nil` for null and for anything nested.
  private static func scalar(_ node: Node) -> String? {
    switch node {
    case .scalar(let scalar): node.null == nil ? scalar.string : nil
    case .sequence(let nodes):
      nodes.allSatisfy { $0.scalar != nil } ? nodes.compactMap { $0.scalar?.string }.joined(separator: ",") : nil
    default: nil
    }
  }

  private static func place(of error: any Error) -> String {
    switch error as? YamlError {
    case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
      " (line \(mark.line), column \(mark.column))"
    case .duplicatedKeysInMapping(let duplicates, _):
      " (twice there: \(duplicates.map(ShownValue.name).sorted().joined(separator: ", ")))"
    default: ""
    }
  }
}

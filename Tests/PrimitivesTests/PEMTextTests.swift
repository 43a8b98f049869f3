import Foundation
import Primitives
import Testing

@Suite("PEM text")
struct PEMTextTests {
  private static let digits = String(repeating: "MIIEvAIBADANBgkqhkiG9w0BAQEFAASC", count: 6) + "="
  private static var pem: String {
    var rest = digits[...]
    var lines: [String] = []
    while !rest.isEmpty {
      lines.append(String(rest.prefix(64)))
      rest = rest.dropFirst(64)
    }
    return "-----BEGIN RSA PRIVATE KEY-----\n\(lines.joined(separator: "\n"))\n-----END RSA PRIVATE KEY-----\n"
  }

  private static var forms: [String] {
    let pem = pem
    return [
      pem, "\"\(pem)\"", "'\(pem)'\n", pem.replacing("\n", with: "\\n"), pem.replacing("\n", with: "\\r\\n"),
      "\"" + pem.replacing("\n", with: "\\n") + "\"", pem.replacing("\n", with: "\r\n"),
      pem.replacing("\n", with: "\n    "),
      "\t" + pem, pem.replacing("\n", with: " "), Data(pem.utf8).base64EncodedString(),
      Data(pem.utf8).base64EncodedString(options: .lineLength76Characters), String(pem.dropLast()),
    ]
  }

  @Test("a key is the same key in each form that environments hold it in", arguments: 0..<13)
  func normalized(_ index: Int) {
    let text = PEMText.normalized(Self.forms[index])
    #expect(text == Self.pem || text + "\n" == Self.pem)
  }

  @Test("what holds no key stays as it is", arguments: ["", "no key", "c2VjcmV0", "-----BEGIN X-----"])
  func none(_ text: String) {
    #expect(!PEMText.normalized(text).contains("PRIVATE KEY"))
  }
}

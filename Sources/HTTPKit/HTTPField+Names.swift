package import HTTPTypes

extension HTTPField.Name {
  /// Fetch Metadata Request Headers, 2.1.
  package static let fetchSite = HTTPField.Name(known: "Sec-Fetch-Site")
  package static let xForwardedProto = HTTPField.Name(known: "X-Forwarded-Proto")
  package static let xForwardedFor = HTTPField.Name(known: "X-Forwarded-For")

  /// A name that is known to be a token; another one is our own mistake.
  package init(known name: String) {
    guard let parsed = HTTPField.Name(name) else { preconditionFailure("\(name) is no header's name") }
    self = parsed
  }
}

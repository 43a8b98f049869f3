internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Primitives
package import ReviewStore
internal import Reviews

/// Integrations as `/api` and `baton integration list --json` give them.
package struct IntegrationList: Sendable, Encodable {
  package var integrations: [IntegrationBody]

  package init(_ rows: [IntegrationRow]) { integrations = rows.map { IntegrationBody(row: $0) } }
}

/// An integration in JSON, its id in lower case as Postgres has it, every key always present.
package struct IntegrationBody: Sendable, Encodable {
  var row: IntegrationRow

  private enum CodingKeys: String, CodingKey {
    case id, owner, platform, installationId, instanceUrl, hasToken, hasWebhookSecret, createdAt,
      revokedAt
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(row.id.lowercase, forKey: .id)
    try container.encode(row.owner, forKey: .owner)
    try container.encode(row.platform, forKey: .platform)
    try container.encode(row.installationId, forKey: .installationId)
    try container.encode(row.instanceUrl, forKey: .instanceUrl)
    try container.encode(row.hasToken, forKey: .hasToken)
    try container.encode(row.hasWebhookSecret, forKey: .hasWebhookSecret)
    try container.encode(row.createdAt, forKey: .createdAt)
    try container.encode(row.revokedAt, forKey: .revokedAt)
  }
}

/// What is given for a new integration, by a program or a form, with every fault named.
struct IntegrationFields: Sendable {
  let new: NewIntegration
  let token: Secret?
  let webhookSecret: Secret?

  static let names = [
    "owner", "platform", "installationId", "instanceUrl", "token", "webhookSecret",
  ]

  /// - Throws: `HTTPFault` 422.
  init(_ reader: FieldReader) throws(HTTPFault) {
    var fields = reader
    let owner = fields.required("owner", fields.owner(), "is missing")
    let platform = fields.platform()
    var installation: String?
    switch fields.value("installationId") {
    case .integer(let number)? where number > 0: installation = "\(number)"
    case .string(let text)? where text.isEmpty: break
    case .string(let text)? where Int64(text).map { $0 > 0 } == true: installation = text
    case nil: break
    case .some: fields.faults.append("installationId: expected GitHub's number of the installation")
    }
    let instance = fields.text("instanceUrl", byteCountMax: 2_000)
    (token, webhookSecret) = (fields.secret("token"), fields.secret("webhookSecret"))
    if platform == .github, instance != nil { fields.faults.append("instanceUrl: is GitLab's") }
    if platform == .github, installation == nil, token == nil {
      fields.faults.append("installationId: is missing; or give token, for a token without an app")
    }
    if platform == .gitlab, installation != nil {
      fields.faults.append("installationId: is GitHub's")
    }
    if platform == .gitlab, token == nil, webhookSecret == nil {
      fields.faults.append("token: is missing; for public projects give at least webhookSecret")
    }
    if let webhookSecret, SecretList(separated: webhookSecret.reveal()) == nil {
      fields.faults.append(
        "webhookSecret: has an empty part between its commas: give one secret, or new,old")
    }
    for (name, secret) in [("token", token), ("webhookSecret", webhookSecret)] {
      guard let text = secret?.reveal(),
        text.unicodeScalars.contains(where: { $0.value <= 32 || $0.value == 127 })
      else { continue }
      fields.faults.append("\(name): holds a space, a line break or a control character")
    }
    try fields.check("an integration")
    guard let owner, let platform else { throw HTTPFault.internalError }
    new = NewIntegration(
      owner: owner, platform: platform, installationId: installation, instanceUrl: instance)
  }
}

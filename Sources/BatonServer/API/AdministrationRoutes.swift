internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// Owners, configurations, integrations and endpoints for programs.
struct AdministrationRoutes: Sendable {
  let store: ReviewStore
  let administration: Administration

  private static let listMax = 1_000

  var routes: [Route] {
    [
      Route(.get, .owners, access: .api, handle: owners),
      Route(.put, .owners, access: .api, handle: putOwner),
      Route(.get, .configurations, access: .api, handle: configurations),
      Route(.put, .configurations, access: .api, handle: putConfiguration),
      Route(.get, .integrations, access: .api, handle: integrations),
      Route(.post, .integrations, access: .api, handle: addIntegration),
      Route(.post, .revokeIntegration, access: .api, handle: revoke),
      Route(.get, .endpoints, access: .api, handle: endpoints),
      Route(.post, .endpoints, access: .api, handle: addEndpoint),
      Route(.post, .endpointSecret, access: .api, handle: replaceSecret),
    ]
      + Administration.EndpointOperation.allCases.map { operation in
        Route(.post, .endpoint(operation), access: .api) { call in
          let text = try await administration.operate(
            operation, onEndpoint: try await call.endpointID(store), by: Self.who(call))
          return .json(.ok, Done(done: text))
        }
      }
  }

  private struct Done: Encodable {
    var done: String
  }

  private static func who(_ call: Call) -> Administration.Operator {
    Administration.Operator(actor: call.caller?.actor ?? "api", logger: call.logger)
  }

  // MARK: Owners

  private struct OwnerList: Encodable {
    var owners: [OwnerSummary]
  }

  @Sendable private func owners(_ call: Call) async throws -> Response {
    _ = try call.query(knowing: [])
    return .json(.ok, OwnerList(owners: try await store.owners(limit: Self.listMax)))
  }

  /// Changes what it names: `limit`, where null is BATON_OWNER_LIMIT, and `isPaused`.
  @Sendable private func putOwner(_ call: Call) async throws -> Response {
    var fields = try await FieldReader.json(call, knowing: ["owner", "limit", "isPaused"])
    let owner = fields.required("owner", fields.owner(), "is missing")
    let isPaused = fields.flag("isPaused")
    var limit: Int?
    switch fields.value("limit") {
    case nil: break
    case .integer(let number)?: limit = Int(number)
    case .some:
      fields.faults.append("limit: expected a whole number, or null for BATON_OWNER_LIMIT")
    }
    if !fields.has("limit") && isPaused == nil {
      fields.faults.append("give limit, isPaused, or both")
    }
    try fields.check("a change of an owner")
    guard let owner else { throw HTTPFault.internalError }
    if fields.has("limit") {
      try await administration.setLimit(of: owner, to: limit, by: Self.who(call))
    }
    if let isPaused { try await administration.setPaused(isPaused, owner, by: Self.who(call)) }
    return .json(.ok, Done(done: "\(owner) is changed."))
  }

  // MARK: Configurations

  private struct ConfigurationBody: Encodable {
    var owner: Owner
    var platform: Platform
    var isEnabled: Bool
    var config: JSONValue
  }

  private struct ConfigurationList: Encodable {
    var configurations: [ConfigurationBody]
  }

  private func body(_ owner: Owner, _ platform: Platform, _ stored: StoredConfiguration)
    -> ConfigurationBody
  {
    ConfigurationBody(
      owner: owner, platform: platform, isEnabled: stored.isEnabled,
      config: (try? JSONValue(json: stored.json)) ?? .string(stored.json))
  }

  @Sendable private func configurations(_ call: Call) async throws -> Response {
    guard let owner = try call.query(knowing: ["owner"])["owner"].flatMap({ Owner($0) }) else {
      throw HTTPFault.malformed("faulty query", faults: ["owner: expected user:ID or org:ID"])
    }
    var all: [ConfigurationBody] = []
    for platform in Platform.allCases {
      if let stored = try await store.configuration(of: owner, platform: platform) {
        all.append(body(owner, platform, stored))
      }
    }
    return .json(.ok, ConfigurationList(configurations: all))
  }

  @Sendable private func putConfiguration(_ call: Call) async throws -> Response {
    var fields = try await FieldReader.json(
      call, knowing: ["owner", "platform", "config", "isEnabled"])
    let owner = fields.required("owner", fields.owner(), "is missing")
    let platform = fields.platform()
    let isEnabled = fields.flag("isEnabled")
    let config = fields.value("config")
    if config == nil && isEnabled == nil { fields.faults.append("give config, isEnabled, or both") }
    try fields.check("a change of a configuration")
    guard let owner, let platform else { throw HTTPFault.internalError }
    let json = try config.map { String(decoding: try JSONCoding.encode($0), as: UTF8.self) }
    let stored = try await administration.configure(
      owner, platform, json: json, isEnabled: isEnabled, by: Self.who(call))
    return .json(.ok, body(owner, platform, stored))
  }

  // MARK: Integrations

  @Sendable private func integrations(_ call: Call) async throws -> Response {
    let query = try call.query(knowing: ["owner", "platform"])
    let (owner, platform) = (
      query["owner"].map { Owner($0) }, query["platform"].map { Platform(rawValue: $0) }
    )
    let faults = [
      owner == .some(nil) ? "owner: expected user:ID or org:ID" : nil,
      platform == .some(nil) ? "platform: expected github or gitlab" : nil,
    ].compactMap { $0 }
    guard faults.isEmpty else { throw HTTPFault.malformed("faulty query", faults: faults) }
    let rows = try await store.integrations(
      of: owner ?? nil, platform: platform ?? nil, limit: Self.listMax)
    return .json(.ok, IntegrationList(rows))
  }

  private struct Added: Encodable {
    var id: String
    /// Only if the server has made it: shown this once.
    var secret: String?
  }

  @Sendable private func addIntegration(_ call: Call) async throws -> Response {
    let fields = try await FieldReader.json(call, knowing: IntegrationFields.names)
    let input = try IntegrationFields(fields)
    let (id, isNew) = try await administration.addIntegration(
      input.new, token: input.token, webhookSecret: input.webhookSecret, by: Self.who(call))
    return .json(isNew ? .created : .ok, Added(id: id.lowercase))
  }

  @Sendable private func revoke(_ call: Call) async throws -> Response {
    let isNew = try await administration.revokeIntegration(
      try await call.integrationID(store), by: Self.who(call))
    return .json(
      .ok,
      Done(done: isNew ? "The integration is revoked." : "The integration was revoked already."))
  }

  // MARK: Endpoints

  @Sendable private func endpoints(_ call: Call) async throws -> Response {
    _ = try call.query(knowing: [])
    return .json(.ok, EndpointList(try await store.endpoints()))
  }

  @Sendable private func addEndpoint(_ call: Call) async throws -> Response {
    var fields = try await FieldReader.json(call, knowing: ["url", "owner", "secret"])
    let url = fields.required(
      "url", fields.text("url", byteCountMax: 2_000), "expected an http or https address")
    let (owner, secret) = (fields.owner(), fields.secret("secret"))
    try fields.check("an endpoint")
    let added = try await administration.addEndpoint(
      url ?? "", owner: owner, secret: secret, by: Self.who(call))
    return .json(.created, Added(id: added.id.lowercase, secret: added.secret?.reveal()))
  }

  private struct Replaced: Encodable {
    var id: String
    var keyIds: [String]
    /// Only if the server has made it: shown this once.
    var secret: String?
  }

  @Sendable private func replaceSecret(_ call: Call) async throws -> Response {
    let id = try await call.endpointID(store)
    var fields = try await FieldReader.json(call, knowing: ["secret"])
    let secret = fields.secret("secret")
    try fields.check("a secret")
    let replaced = try await administration.replaceSecret(ofEndpoint: id, with: secret, by: Self.who(call))
    return .json(
      .ok, Replaced(id: id.lowercase, keyIds: replaced.keyIDs, secret: replaced.made?.reveal()))
  }
}

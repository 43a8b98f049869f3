internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Logging
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The changes that an operator makes of owners, configurations, integrations and endpoints, for pages and API alike: checked, logged with who made
/// them, secrets sealed as the commands do.
struct Administration: Sendable {
  let store: ReviewStore
  let policy: AdministrationPolicy

  /// Who changes something, and the log of it.
  struct Operator: Sendable {
    var actor: String
    var logger: Logger

    func log(_ message: Logger.Message, _ metadata: Logger.Metadata) {
      logger.notice(message, metadata: metadata.merging(["actor": "\(actor)"]) { $1 })
    }
  }

  // MARK: Owners

  /// - Parameter limit: nil for BATON_OWNER_LIMIT.
  func setLimit(of owner: Owner, to limit: Int?, by who: Operator) async throws {
    if let limit, !(1...1_000_000).contains(limit) {
      throw HTTPFault(
        .unprocessableContent,
        "limit: expected a whole number from 1 to 1000000, or none; pause an owner to hold its reviews back"
      )
    }
    try await HTTPFault.namingRights { try await store.setLimit(of: owner, to: limit) }
    who.log(
      "an owner's limit is changed",
      ["owner": "\(owner)", "limit": "\(limit.map { "\($0)" } ?? "none")"])
  }

  /// An owner may be paused before its first review.
  func setPaused(_ isPaused: Bool, _ owner: Owner, by who: Operator) async throws {
    if isPaused {
      _ = try await HTTPFault.namingRights { try await store.pause(owner) }
    } else {
      guard try await HTTPFault.namingRights({ try await store.setPaused(false, owner) }) else {
        throw HTTPFault(.notFound, "there is no such owner")
      }
    }
    who.log(isPaused ? "an owner is paused" : "an owner is resumed", ["owner": "\(owner)"])
  }

  // MARK: Configurations

  /// - Parameter json: takes the place of the whole configuration; nil leaves it.
  func configure(
    _ owner: Owner, _ platform: Platform, json: String?, isEnabled: Bool?, by who: Operator
  ) async throws -> StoredConfiguration {
    let change = ConfigurationChange(replacement: json, isEnabled: isEnabled)
    do {
      let stored = try await HTTPFault.namingRights {
        try await store.change(change, of: owner, platform: platform)
      }
      who.log(
        "a configuration is changed",
        ["owner": "\(owner)", "platform": "\(platform.rawValue)", "enabled": "\(stored.isEnabled)"])
      return stored
    } catch let error as ReviewConfigurationFaults {
      throw HTTPFault(.unprocessableContent, "not a configuration", faults: error.faults)
    }
  }

  // MARK: Integrations

  /// - Returns: also whether it was added; an owner's own is renewed.
  func addIntegration(
    _ new: NewIntegration, token: Secret?, webhookSecret: Secret?, by who: Operator
  ) async throws -> (id: UUID, isNew: Bool) {
    var new = new
    if new.platform == .gitlab { new.instanceUrl = try instance(new.instanceUrl) }
    guard (token == nil && webhookSecret == nil) || policy.cipher != nil else {
      throw HTTPFault.noKey
    }
    let format = TokenCipher.Format(rawValue: try await store.sealFormat()) ?? .keyed
    let (integration, cipher) = (new, policy.cipher)
    let answer = try await HTTPFault.namingRights {
      try await store.add(integration) { id in
        IntegrationSecrets(
          token: try token.flatMap { try cipher?.seal($0, in: .token(of: id), format: format) },
          webhookSecret: try webhookSecret.flatMap {
            try cipher?.seal($0, in: .webhookSecret(of: id), format: format)
          })
      }
    }
    let result: (id: UUID, isNew: Bool)
    switch answer {
    case .added(let id): result = (id, true)
    case .updated(let id, _): result = (id, false)
    case .taken(let other, let id):
      throw HTTPFault(
        .conflict,
        "the installation belongs to \(other): revoke its integration \(id.lowercase) first")
    }
    who.log(
      "an integration is added or renewed",
      ["owner": "\(new.owner)", "platform": "\(new.platform.rawValue)"])
    return result
  }

  private func instance(_ url: String?) throws(HTTPFault) -> String {
    do {
      return try GitLabHosts(policy.gitlabHosts).instance(at: url ?? "https://gitlab.com").url
    } catch {
      throw HTTPFault(.unprocessableContent, "instanceUrl: \(error)")
    }
  }

  func revokeIntegration(_ id: UUID, by who: Operator) async throws -> Bool {
    guard let isNew = try await HTTPFault.namingRights({ try await store.revokeIntegration(id) }) else {
      throw HTTPFault(.notFound, "no integration has this id")
    }
    who.log("an integration is revoked", ["integration": "\(id.lowercase)"])
    return isNew
  }

  // MARK: Endpoints of events

  /// - Parameter secret: `new,old` or one; nil makes one.
  /// - Returns: the secret only if it was made here.
  func addEndpoint(
    _ url: String, owner: Owner?, secret given: Secret?, by who: Operator
  ) async throws -> (id: UUID, secret: Secret?) {
    guard let cipher = policy.cipher else { throw HTTPFault.noKey }
    let address: EndpointAddress
    do {
      address = try EndpointAddress(url, allowed: policy.eventHosts)
    } catch {
      throw HTTPFault(.unprocessableContent, "url: \(error)")
    }
    let secret = try Self.checked(given) ?? EventSignature.newSecret()
    let id = try await HTTPFault.namingRights {
      try await store.addEndpoint(address.url, owner: owner) {
        try cipher.seal(secret, in: .endpointSecret(of: $0))
      }
    }
    who.log(
      "an endpoint of events is added", ["endpoint": "\(id.lowercase)", "url": "\(address.url)"])
    return (id, given == nil ? secret : nil)
  }

  /// Replaces the secret that signs an endpoint's events.
  /// - Parameter given: `new,old` or one; nil makes one.
  func replaceSecret(ofEndpoint id: UUID, with given: Secret?, by who: Operator) async throws -> ReplacedSecret {
    guard let cipher = policy.cipher else { throw HTTPFault.noKey }
    let secret = try Self.checked(given) ?? EventSignature.newSecret()
    let ciphertext = try cipher.seal(secret, in: .endpointSecret(of: id))
    guard try await HTTPFault.namingRights({ try await store.setEndpointSecret(id, ciphertext) }) else {
      throw HTTPFault(.notFound, "no endpoint has this id")
    }
    let keys = EventSignature.keyIDs(secret)
    who.log(
      "an endpoint's secret is replaced",
      ["endpoint": "\(id.lowercase)", "keys": "\(keys.joined(separator: ", "))"])
    return ReplacedSecret(keyIDs: keys, made: given == nil ? secret : nil)
  }

  /// The secret that an endpoint's events are signed with from now on.
  struct ReplacedSecret: Sendable {
    /// By which a receiver recognises the secret: one, or those of the new and the old one.
    var keyIDs: [String]
    /// Only if it was made here.
    var made: Secret?
  }

  private static func checked(_ secret: Secret?) throws(HTTPFault) -> Secret? {
    guard let secret, EventSignature.secrets(secret) == nil else { return secret }
    throw HTTPFault(
      .unprocessableContent,
      "secret: expected at least \(EventSignature.secretByteCountMin) bytes, or two such secrets as new,old")
  }

  /// What is done with an endpoint, by its name in a path.
  enum EndpointOperation: String, Sendable, CaseIterable { case enable, disable, retry, remove }

  /// - Returns: what was done, in a few words.
  func operate(_ operation: EndpointOperation, onEndpoint id: UUID, by who: Operator) async throws
    -> String
  {
    let isDone: Bool
    var text = "The endpoint is \(operation.rawValue)d."
    switch operation {
    case .enable: isDone = try await HTTPFault.namingRights { try await store.setEndpoint(id, isEnabled: true) }
    case .disable: isDone = try await HTTPFault.namingRights { try await store.setEndpoint(id, isEnabled: false) }
    case .remove: isDone = try await HTTPFault.namingRights { try await store.removeEndpoint(id) }
    case .retry:
      switch try await HTTPFault.namingRights({ try await store.retryEvents(of: id) }) {
      case .sent(let count): (isDone, text) = (true, "\(Reading.count(count, "event")) sent again.")
      case .disabled: throw HTTPFault(.conflict, "the endpoint is disabled, so nothing is sent to it: enable it first")
      case .unknown: isDone = false
      }
    }
    guard isDone else { throw HTTPFault(.notFound, "no endpoint has this id") }
    who.log(
      "an endpoint of events is changed",
      ["endpoint": "\(id.lowercase)", "operation": "\(operation.rawValue)"])
    return text
  }
}

extension HTTPFault {
  static let noKey = HTTPFault(
    .serviceUnavailable, "this server has no BATON_ENCRYPTION_KEY, so it cannot store a secret")
}

internal import FoundationEssentials
internal import HTTPKit
internal import HTTPTypes
internal import Hummingbird
internal import Primitives
internal import ReviewStore
internal import Reviews

/// The pages of owners and endpoints, and their forms.
extension DashboardRoutes {
  var administrationRoutes: [Route] {
    [
      page(.ownersPage, owners), page(.ownerPage, owner),
      page(.endpointsPage) { try await endpoints($1) },
      submission(.ownerLimit, knowing: ["owner", "limit"], setLimit),
      submission(
        .ownerConfiguration, knowing: ["owner", "platform", "config", "isEnabled"],
        upTo: Self.configurationFormByteCountMax, configure),
      submission(.ownerIntegration, knowing: IntegrationFields.names, addIntegration),
      submission(.revokeIntegrationPage, knowing: []) { call, _, who in
        _ = try await administration.revokeIntegration(
          try await call.integrationID(store), by: who)
      },
      Route(.post, .endpointsPage, access: .open, fault: FaultPage.response, handle: addEndpoint),
      Route(.post, .endpointSecretPage, access: .open, fault: FaultPage.response, handle: replaceSecret),
    ]
      + Administration.EndpointOperation.allCases.map { operation in
        submission(.endpointPage(operation), knowing: []) { call, _, who in
          _ = try await administration.operate(
            operation, onEndpoint: try await call.endpointID(store), by: who)
        }
      }
  }

  /// A form of a page: leads back to it.
  private func submission(
    _ path: RoutePath, knowing names: [String], upTo byteCountMax: Int = formByteCountMax,
    _ handle:
      @escaping @Sendable (Call, inout FieldReader, Administration.Operator) async throws -> Void
  ) -> Route {
    Route(.post, path, access: .open, fault: FaultPage.response) { call in
      let (visitor, form) = try await press(call, knowing: names, upTo: byteCountMax)
      guard visitor.right == .act else { throw HTTPFault.readOnly }
      var fields = Self.fields(form, names)
      try await handle(
        call, &fields, Administration.Operator(actor: visitor.actor, logger: call.logger))
      return .found(LoginPage.local(form["back"] ?? "/"))
    }
  }

  private static func fields(_ form: [String: String], _ names: [String]) -> FieldReader {
    FieldReader(form.filter { names.contains($0.key) }.mapValues { .string($0) }, knowing: names)
  }

  // MARK: Owners

  @Sendable private func owners(_ call: Call, _ visitor: Visitor) async throws -> Response {
    let page = OwnersPage(owners: try await store.owners(limit: OwnersPage.limit))
    return Page(
      title: "Owners · Baton", item: .owners, path: "/owners", now: try await store.now(),
      body: page.body, visitor: visitor
    ).response()
  }

  @Sendable private func owner(_ call: Call, _ visitor: Visitor) async throws -> Response {
    guard
      let owner = try call.query(knowing: ["owner"])["owner"].flatMap({
        $0.utf8.count <= 512 ? Owner($0) : nil
      })
    else {
      throw HTTPFault.malformed("faulty query", faults: ["owner: expected user:ID or org:ID"])
    }
    var configurations: [(Platform, StoredConfiguration)] = []
    for platform in Platform.allCases {
      if let stored = try await store.configuration(of: owner, platform: platform) {
        configurations.append((platform, stored))
      }
    }
    let page = OwnerPage(
      owner: owner, load: try await store.load(of: owner, ownerLimit: ownerLimit),
      defaultLimit: ownerLimit,
      configurations: configurations,
      integrations: try await store.integrations(of: owner, platform: nil, limit: OwnerPage.integrationCountMax + 1),
      visitor: visitor)
    return Page(
      title: "\(owner) · Baton", item: .owners, path: OwnersPage.path(owner),
      now: try await store.now(), body: page.body,
      visitor: visitor
    ).response()
  }

  @Sendable private func setLimit(
    _ call: Call, _ fields: inout FieldReader, _ who: Administration.Operator
  ) async throws {
    let owner = fields.required("owner", fields.owner(), "is missing")
    let text = fields.text("limit")
    if let text, Int32(text) == nil {
      fields.faults.append("limit: expected a whole number, or nothing for the default")
    }
    try fields.check("a limit")
    guard let owner else { throw HTTPFault.internalError }
    try await administration.setLimit(of: owner, to: text.flatMap { Int($0) }, by: who)
  }

  @Sendable private func configure(
    _ call: Call, _ fields: inout FieldReader, _ who: Administration.Operator
  ) async throws {
    let owner = fields.required("owner", fields.owner(), "is missing")
    let platform = fields.platform()
    // A browser sends CR LF for each line of the field.
    let json = fields.text("config", byteCountMax: 2 * ReviewConfiguration.byteCountMax)?
      .replacing("\r\n", with: "\n")
    let isEnabled = fields.text("isEnabled").map { $0 == "yes" }
    try fields.check("a configuration")
    guard let owner, let platform else { throw HTTPFault.internalError }
    if let json {
      do {
        _ = try ReviewConfiguration(json: json)
      } catch {
        throw HTTPFault(.unprocessableContent, "not a configuration", faults: error.faults)
      }
    }
    _ = try await administration.configure(
      owner, platform, json: json, isEnabled: isEnabled, by: who)
  }

  @Sendable private func addIntegration(
    _ call: Call, _ fields: inout FieldReader, _ who: Administration.Operator
  ) async throws {
    let input = try IntegrationFields(fields)
    _ = try await administration.addIntegration(
      input.new, token: input.token, webhookSecret: input.webhookSecret, by: who)
  }

  // MARK: Endpoints

  private func endpoints(_ visitor: Visitor, signing: EndpointsPage.Signing? = nil) async throws -> Response {
    let page = EndpointsPage(endpoints: try await store.endpoints(), signing: signing, visitor: visitor)
    return Page(
      title: "Events · Baton", item: .endpoints, path: "/endpoints", now: try await store.now(),
      body: page.body,
      visitor: visitor
    ).response(headers: [.cacheControl: "no-store"])
  }

  /// Answers with the page itself, which shows a secret that was made, this once.
  @Sendable private func addEndpoint(_ call: Call) async throws -> Response {
    let names = ["url", "owner", "secret"]
    let (visitor, form) = try await press(call, knowing: names)
    guard visitor.right == .act else { throw HTTPFault.readOnly }
    var fields = Self.fields(form.filter { $0.key != "owner" || !$0.value.isEmpty }, names)
    let url =
      fields.required(
        "url", fields.text("url", byteCountMax: 2_000), "expected an http or https address") ?? ""
    let (owner, secret) = (fields.owner(), fields.secret("secret"))
    try fields.check("an endpoint")
    let added = try await administration.addEndpoint(
      url, owner: owner, secret: secret,
      by: Administration.Operator(actor: visitor.actor, logger: call.logger))
    return try await endpoints(visitor, signing: added.secret.map { EndpointsPage.Signing(url: url, made: $0) })
  }

  /// The same for the secret of an endpoint that there is.
  @Sendable private func replaceSecret(_ call: Call) async throws -> Response {
    let (visitor, form) = try await press(call, knowing: ["secret"])
    guard visitor.right == .act else { throw HTTPFault.readOnly }
    let id = try await call.endpointID(store)
    var fields = Self.fields(form, ["secret"])
    let secret = fields.secret("secret")
    try fields.check("a secret")
    let replaced = try await administration.replaceSecret(
      ofEndpoint: id, with: secret,
      by: Administration.Operator(actor: visitor.actor, logger: call.logger))
    let url = try await store.endpoints().first { $0.id == id }?.url ?? id.lowercase
    return try await endpoints(
      visitor, signing: EndpointsPage.Signing(url: url, keyIDs: replaced.keyIDs, made: replaced.made))
  }
}

internal import ArgumentParser
internal import BatonServer
internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton integration`.
struct IntegrationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "integration",
    abstract: "Adds, lists, revokes and encrypts again the ways to an owner's repositories.",
    discussion: """
      An integration is an owner's installation of the GitHub App, or its access to a GitLab instance. Tokens and hook \
      secrets are stored encrypted with BATON_ENCRYPTION_KEY, and never shown again.

      EXAMPLES:
        baton integration add org:acme --platform github --installation-id 4242
        baton integration list
        baton integration revoke 0b6e6c1e
        baton integration reseal --dry-run
      """,
    subcommands: [
      IntegrationAddCommand.self, IntegrationListCommand.self, IntegrationRevokeCommand.self,
      IntegrationResealCommand.self,
    ])
}

/// `baton integration add`.
struct IntegrationAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Adds an integration, or renews the one that the owner has.",
    discussion: """
      Of one platform an owner has one integration for each installation (GitHub) or instance (GitLab). Adding it again \
      keeps its id, replaces the secrets that are given, and makes a revoked one count again.
      Secrets are read from a file, or with - from standard input; a terminal asks without showing what is typed.
      A webhook secret may be a list new,old: each is accepted while the platform's setting is exchanged.

      EXAMPLES:
        baton integration add org:acme --platform github --installation-id 4242
        baton integration add org:acme --platform gitlab --token-file - < token.txt
        baton integration add user:42 --platform gitlab \\
          --instance-url https://gitlab.example.com \\
          --token-file token.txt --webhook-secret-file hook.txt

      Prints the id, which reviews name as platformIntegrationId, and which GitLab's webhook address ends with.
      """)

  @Argument(help: ArgumentHelp("The owner, such as org:acme or user:42.", valueName: "type:id"))
  var owner: Owner

  @Option(help: ArgumentHelp("github or gitlab.", valueName: "platform"))
  var platform: Platform

  @Option(help: ArgumentHelp("GitHub's number of the installation.", valueName: "n"))
  var installationId: Int64?

  @Option(
    help: ArgumentHelp(
      "Address of the GitLab instance (default: https://gitlab.com); its host has to be among BATON_GITLAB_HOSTS.",
      valueName: "url"))
  var instanceUrl: String?

  @Option(
    help: ArgumentHelp("File that holds the access token; - is standard input.", valueName: "file"), completion: .file()
  )
  var tokenFile: String?

  @Option(
    help: ArgumentHelp(
      "File that holds the secret of this integration's webhooks; - is standard input. It wins over the setting.",
      valueName: "file"), completion: .file())
  var webhookSecretFile: String?

  @OptionGroup(title: "Settings") var credentials: CredentialOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    var faults: [String] = []
    switch platform {
    case .github:
      if instanceUrl != nil { faults.append("--instance-url is GitLab's; GitHub's address is BATON_GITHUB_API_URL.") }
      if installationId == nil && tokenFile == nil {
        faults.append("GitHub needs --installation-id, or --token-file for a token without an app.")
      }
    case .gitlab:
      if installationId != nil { faults.append("--installation-id is GitHub's; GitLab needs --token-file.") }
      if tokenFile == nil && webhookSecretFile == nil {
        faults.append("GitLab needs --token-file; for public projects at least --webhook-secret-file.")
      }
    }
    if let installationId, installationId < 1 { faults.append("--installation-id has to be a number from 1 on.") }
    if tokenFile == "-" && webhookSecretFile == "-" { faults.append("Only one secret can come from standard input.") }
    if !faults.isEmpty { throw ValidationError(faults.joined(separator: "\n")) }
  }

  func run() async throws {
    let hasSecrets = tokenFile != nil || webhookSecretFile != nil
    let session = try CommandSession(
      "baton integration add", common, [database, credentials],
      requiring: hasSecrets ? [.databaseURL, .encryptionKey] : [.databaseURL])
    let new = NewIntegration(
      owner: owner, platform: platform, installationId: installationId.map { "\($0)" },
      instanceUrl: try instance(allowedHosts: session.settings.gitlabHosts))
    let token = try tokenFile.map { path throws(Failure) in try SecretInput.read("token", from: path) }
    let hook = try webhookSecretFile.map { path throws(Failure) in try SecretInput.read("webhook secret", from: path) }
    if let hook, SecretList(separated: hook.reveal()) == nil {
      throw Failure(.failed, "the webhook secret has an empty part between its commas: give one secret, or new,old")
    }
    let keys = session.settings.revealEncryptionKeys()
    let cipher = keys.isEmpty ? nil : TokenCipher(keys: keys)
    let answer = try await session.withStore { store in
      let format = TokenCipher.Format(rawValue: try await store.sealFormat()) ?? .keyed
      return try await store.add(new) { id in
        IntegrationSecrets(
          token: try token.flatMap { try cipher?.seal($0, in: .token(of: id), format: format) },
          webhookSecret: try hook.flatMap { try cipher?.seal($0, in: .webhookSecret(of: id), format: format) })
      }
    }
    try report(answer)
  }

  /// The address in one way of writing; nil for GitHub.
  private func instance(allowedHosts: [String]) throws(Failure) -> String? {
    guard platform == .gitlab else { return nil }
    do {
      return try GitLabHosts(allowedHosts).instance(at: instanceUrl ?? "https://gitlab.com").url
    } catch {
      throw Failure(.failed, "--instance-url: \(error)")
    }
  }

  private func report(_ answer: IntegrationAnswer) throws {
    switch answer {
    case .added(let id): try report(id, "added")
    case .updated(let id, wasRevoked: false): try report(id, "updated")
    case .updated(let id, wasRevoked: true): try report(id, "updated, no longer revoked")
    case .taken(let other, let id):
      throw Failure(
        .failed,
        "installation \(installationId ?? 0) belongs to \(DisplayText.safe("\(other)")).\nIf it has moved, first run "
          + "`baton integration revoke \(id.lowercase)`.")
    }
  }

  private func report(_ id: UUID, _ text: String) throws {
    try Output.line("\(id.lowercase)  \(text)  \(DisplayText.safe("\(owner)"))  \(platform.rawValue)")
    guard platform == .gitlab else { return }
    Output.note("GitLab's webhooks for it go to: /webhooks/gitlab/\(id.lowercase)")
  }
}

/// `baton integration list`.
struct IntegrationListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists integrations by owner, and whether they have a token and a hook secret.",
    discussion: """
      EXAMPLES:
        baton integration list --owner org:acme
        baton integration list --json | jq -r '.integrations[] | select(.revokedAt) | .id'

      With --json: {"integrations": [{"id", "owner": {"type", "id"}, "platform", "installationId", "instanceUrl", \
      "hasToken", "hasWebhookSecret", "createdAt", "revokedAt"}]}; null for what there is not. A line on standard error says so \
      if there are more than are listed.
      """)

  @Option(help: ArgumentHelp("Only integrations of this owner, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @Option(help: ArgumentHelp("Only integrations of this platform.", valueName: "platform"))
  var platform: Platform?

  @Option(help: "The most integrations to list, 1 to 10000.")
  var limit = 1_000

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func validate() throws {
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit has to be from 1 to 10000.") }
  }

  func run() async throws {
    let session = try CommandSession("baton integration list", common, [database], requiring: [.databaseURL])
    let (found, now) = try await session.withStore { store in
      (try await store.integrations(of: owner, platform: platform, limit: limit + 1), try await store.now())
    }
    let rows = Array(found.prefix(limit))
    if found.count > limit { Output.noteMore(limitMax: 10_000) }
    guard !json else { return try Output.json(IntegrationList(rows)) }
    guard !rows.isEmpty else { return Output.note("No such integration; `baton integration add` makes one.") }
    let terminal = Terminal.output
    try Output.lines(rows.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
  }
}

extension [IntegrationRow] {
  /// A row for each integration.
  func table(now: Timestamp) -> Table {
    var table = Table([
      .whole("ID"), .left("OWNER"), .left("PLATFORM"), .optional("INSTALLATION"), .optional("INSTANCE"),
      .left("STATE"), .optional("TOKEN"), .optional("HOOK SECRET"), .optional("ADDED"),
    ])
    for row in self {
      table.append([
        .init(row.id.lowercase), .init("\(row.owner)"), .init(row.platform.rawValue), .init(row.installationId),
        .init(row.instanceUrl),
        Table.Cell(row.revokedAt.map { "revoked \(Times.relative($0, to: now))" } ?? "", .yellow),
        .init(row.hasToken ? "stored" : nil), .init(row.hasWebhookSecret ? "stored" : nil),
        .init(Times.relative(row.createdAt, to: now)),
      ])
    }
    return table
  }
}

/// `baton integration revoke`.
struct IntegrationRevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes integrations: reviews that name them fail, and their webhooks make none.",
    discussion: """
      Their rows stay, as reviews name them. `baton integration add` makes one count again.

      EXAMPLE:
        baton integration revoke 0b6e6c1e
      """)

  @Argument(
    help: ArgumentHelp("Integrations to revoke, each by its id or its first digits, four or more.", valueName: "id"))
  var ids: [IDReference]

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton integration revoke", common, [database], requiring: [.databaseURL])
    try await session.withStore { store in
      // All of them before the first is changed: a mistyped id changes nothing.
      var uuids: [UUID] = []
      for reference in ids { uuids.append(try await store.integrationID(reference)) }
      var isRefused = false
      for id in uuids {
        if let isNew = try await store.revokeIntegration(id) {
          try Output.line("\(id.lowercase)  \(isNew ? "revoked" : "was revoked already")")
        } else {
          isRefused = true
          Output.note(
            "Error: \(id.lowercase): no such integration; `baton integration list` shows those that there are")
        }
      }
      if isRefused { throw Failure.reported }
    }
  }
}

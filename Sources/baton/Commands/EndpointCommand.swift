internal import ArgumentParser
internal import BatonServer
internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton endpoint`.
struct EndpointCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "endpoint",
    abstract: "Adds, lists, changes and removes the addresses that events of ended reviews are sent to.",
    discussion: """
      The end of each review is posted to every endpoint by `baton serve`, signed, until the endpoint answers 2xx. Its host has \
      to be among BATON_EVENT_HOSTS of the servers.

      EXAMPLES:
        baton endpoint add https://hooks.example.com/baton
        baton endpoint list
        baton endpoint disable 0b6e6c1e
      """,
    subcommands: [
      EndpointAddCommand.self, EndpointListCommand.self, EndpointSecretCommand.self, EndpointEnableCommand.self,
      EndpointDisableCommand.self, EndpointRetryCommand.self, EndpointRemoveCommand.self,
    ])
}

/// What seals the secrets of endpoints, and where they may be.
struct EndpointOptions: ParsableArguments, SettingFlags {
  @Option(setting: "encryption_key")
  var encryptionKey: String?

  @Option(setting: "event_hosts")
  var eventHosts: String?
}

/// `baton endpoint add`.
struct EndpointAddCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Adds an endpoint: the reviews that end from now on are reported to it.",
    discussion: """
      Without --secret-file a secret is made and printed, this once: the receiver checks the signatures with it.

      EXAMPLES:
        baton endpoint add https://hooks.example.com/baton
        baton endpoint add https://ci.example.com/hook --owner org:acme \\
          --secret-file - < secret.txt
      """)

  @Argument(help: ArgumentHelp("http or https address, without a user, a query and a fragment.", valueName: "url"))
  var url: String

  @Option(help: ArgumentHelp("Only events of this owner's reviews, such as org:acme.", valueName: "type:id"))
  var owner: Owner?

  @OptionGroup var signing: SigningOptions

  @OptionGroup(title: "Settings") var options: EndpointOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession(
      "baton endpoint add", common, [database, options], requiring: [.databaseURL, .encryptionKey, "event_hosts"])
    let address = try EndpointInput.address(url, session.settings)
    let secret = try signing.secret()
    let cipher = TokenCipher(keys: session.settings.revealEncryptionKeys())
    let id = try await session.withStore { store in
      try await store.addEndpoint(address.url, owner: owner) { try cipher.seal(secret, in: .endpointSecret(of: $0)) }
    }
    try Output.line("\(id.lowercase)  added  \(address.url)")
    try signing.show(secret)
    if address.isPlaintext {
      Output.note("Others on the way can read the events: the address is http. The signature still shows changes.")
    }
  }
}

/// What is given for an endpoint.
enum EndpointInput {
  /// - Throws: `Failure` if events must not be sent there.
  static func address(_ url: String, _ settings: Settings) throws(Failure) -> EndpointAddress {
    do {
      return try EndpointAddress(url, allowed: settings.eventHosts)
    } catch {
      throw Failure(.failed, "\(error)")
    }
  }
}

/// The secret that signs an endpoint's events: given, or made.
struct SigningOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "File that holds the secret, of at least 24 bytes, or new,old; - is standard input.", valueName: "file"),
    completion: .file())
  var secretFile: String?

  /// - Throws: `Failure` if what is given is no secret to sign with.
  func secret() throws(Failure) -> Secret {
    guard let secretFile else { return EventSignature.newSecret() }
    let secret = try SecretInput.read("secret", from: secretFile)
    guard EventSignature.secrets(secret) != nil else {
      throw Failure(
        .failed,
        "the secret has less than \(EventSignature.secretByteCountMin) bytes, or an empty part between its commas: give one secret, "
          + "or new,old; `openssl rand -base64 32` makes one")
    }
    return secret
  }

  /// Prints a secret that was made, this once.
  func show(_ secret: Secret) throws {
    if secretFile == nil { try Output.line("secret  \(secret.reveal())") }
  }
}

/// `baton endpoint list`.
struct EndpointListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists endpoints, how sending goes, and how many events wait.",
    discussion: """
      EXAMPLES:
        baton endpoint list
        baton endpoint list --json | jq '.endpoints[] | select(.failingSince)'

      With --json: {"endpoints": [{"id", "url", "owner", "isEnabled", "createdAt", "failures", "failingSince", "acceptedAt", \
      "lastError", "undelivered", "givenUp"}]}; null for what there is not.
      """)

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession("baton endpoint list", common, [database], requiring: [.databaseURL])
    let (endpoints, now) = try await session.withStore { store in (try await store.endpoints(), try await store.now()) }
    guard !json else { return try Output.json(EndpointList(endpoints)) }
    guard !endpoints.isEmpty else { return Output.note("No endpoint; `baton endpoint add` makes one.") }
    let terminal = Terminal.output
    try Output.lines(endpoints.table(now: now).lines(width: terminal.width, usesColor: terminal.usesColor))
    for endpoint in endpoints {
      guard let error = endpoint.lastError else { continue }
      let since = endpoint.failingSince.map { " since \(Times.relative($0, to: now))" } ?? ""
      Output.note("\(endpoint.id.lowercase.prefix(8)): \(endpoint.url)\(since): \(DisplayText.safe(error))")
    }
  }
}

extension [Endpoint] {
  /// A row for each endpoint.
  func table(now: Timestamp) -> Table {
    var table = Table([
      .whole("ID"), .prose("URL"), .optional("OWNER"), .left("STATE"), .right("WAITING"), .right("GIVEN UP"),
      .optional("ACCEPTED"),
    ])
    for endpoint in self {
      let state: Table.Cell =
        !endpoint.isEnabled
        ? Table.Cell("disabled", .dim)
        : endpoint.failingSince.map { _ in Table.Cell("failing", .red) } ?? "enabled"
      table.append([
        .init(endpoint.id.lowercase), .init(endpoint.url), .init(endpoint.owner.map { "\($0)" } ?? "all"), state,
        .init("\(endpoint.undelivered)"), .init("\(endpoint.givenUp)", endpoint.givenUp > 0 ? .yellow : nil),
        .init(endpoint.acceptedAt.map { Times.relative($0, to: now) }),
      ])
    }
    return table
  }
}

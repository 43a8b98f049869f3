internal import ArgumentParser
internal import BatonServer
internal import FoundationEssentials
internal import Platforms
internal import Primitives
internal import ReviewStore
internal import Reviews
internal import Settings

/// `baton endpoint secret`.
struct EndpointSecretCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "secret",
    abstract: "Replaces the secret that signs an endpoint's events.",
    discussion: """
      Without --secret-file a secret is made and printed, this once, and signs alone from now on. To exchange it without a gap, \
      give new,old: each event is signed with both. When the receiver knows the new one, give it alone.

      EXAMPLES:
        baton endpoint secret 0b6e6c1e
        baton endpoint secret 0b6e6c1e --secret-file - < new-and-old.txt
        baton endpoint secret 0b6e6c1e --secret-file new.txt
      """)

  @Argument(help: ArgumentHelp("The endpoint, by its id or its first digits, four or more.", valueName: "id"))
  var id: IDReference

  @OptionGroup var signing: SigningOptions

  @OptionGroup(title: "Settings") var options: EndpointOptions
  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func run() async throws {
    let session = try CommandSession(
      "baton endpoint secret", common, [database, options], requiring: [.databaseURL, .encryptionKey])
    let secret = try signing.secret()
    let cipher = TokenCipher(keys: session.settings.revealEncryptionKeys())
    try await session.withStore { store in
      let id = try await store.endpointID(id)
      guard try await store.setEndpointSecret(id, try cipher.seal(secret, in: .endpointSecret(of: id))) else {
        throw Failure.unknownEndpoint(id)
      }
      try Output.line("\(id.lowercase)  signs with \(EventSignature.keyIDs(secret).joined(separator: ", "))")
      try signing.show(secret)
    }
  }
}

/// `baton endpoint enable`.
struct EndpointEnableCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enable", abstract: "Enables an endpoint: what waits for it is sent, and new events are written.",
    discussion: """
      EXAMPLE:
        baton endpoint enable 0b6e6c1e
      """)

  @OptionGroup var target: EndpointTarget

  func run() async throws {
    try await target.change("baton endpoint enable", "enabled") { try await $0.setEndpoint($1, isEnabled: true) }
  }
}

/// `baton endpoint disable`.
struct EndpointDisableCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable", abstract: "Disables an endpoint: no event is written for it, and what waits keeps waiting.",
    discussion: """
      EXAMPLE:
        baton endpoint disable 0b6e6c1e
      """)

  @OptionGroup var target: EndpointTarget

  func run() async throws {
    try await target.change("baton endpoint disable", "disabled") { try await $0.setEndpoint($1, isEnabled: false) }
  }
}

/// `baton endpoint remove`.
struct EndpointRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Removes an endpoint, with the events that wait for it.",
    discussion: """
      EXAMPLE:
        baton endpoint remove 0b6e6c1e
      """)

  @OptionGroup var target: EndpointTarget

  func run() async throws {
    try await target.change("baton endpoint remove", "removed") { try await $0.removeEndpoint($1) }
  }
}

/// `baton endpoint retry`.
struct EndpointRetryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry", abstract: "Sends the events of an endpoint again that were given up.",
    discussion: """
      An event is given up after three days, or when its endpoint answers 410, and kept for 30 days. Nothing is sent to a \
      disabled endpoint: enable it first.

      EXAMPLE:
        baton endpoint retry 0b6e6c1e
      """)

  @OptionGroup var target: EndpointTarget

  func run() async throws {
    let session = try target.session("baton endpoint retry")
    try await session.withStore { store in
      let id = try await store.endpointID(target.id)
      switch try await store.retryEvents(of: id) {
      case .sent(let count):
        try Output.line("\(id.lowercase)  \(count) \(count == 1 ? "event is" : "events are") sent again")
      case .disabled:
        throw Failure(
          .failed,
          "\(id.lowercase): the endpoint is disabled, so nothing is sent to it; `baton endpoint enable \(id.lowercase.prefix(8))` first"
        )
      case .unknown: throw Failure.unknownEndpoint(id)
      }
    }
  }
}

/// The endpoint that a command is for.
struct EndpointTarget: ParsableArguments {
  @Argument(help: ArgumentHelp("The endpoint, by its id or its first digits, four or more.", valueName: "id"))
  var id: IDReference

  @OptionGroup(title: "Settings") var database: DatabaseOptions
  @OptionGroup(title: "Settings") var common: CommonOptions

  func session(_ name: String) throws -> CommandSession {
    try CommandSession(name, common, [database], requiring: [.databaseURL])
  }

  /// - Parameter body: gives false if there is no such endpoint.
  func change(_ name: String, _ done: String, _ body: (ReviewStore, UUID) async throws -> Bool) async throws {
    try await session(name).withStore { store in
      let id = try await store.endpointID(id)
      guard try await body(store, id) else { throw Failure.unknownEndpoint(id) }
      try Output.line("\(id.lowercase)  \(done)")
    }
  }
}

extension Failure {
  static func unknownEndpoint(_ id: UUID) -> Failure {
    Failure(.failed, "\(id.lowercase): no such endpoint; `baton endpoint list` shows those that there are")
  }
}

extension Settings {
  /// The name of a setting: its key in a configuration file, and in the flags given to ``Settings/load(flags:environment:file:requiring:complete:)``.
  package struct Key: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package let name: String

    package init(stringLiteral name: String) { self.name = name }

    package var description: String { name }
    /// The environment's name of it: `BATON_DATABASE_URL`.
    package var variable: String { "BATON_\(name.uppercased())" }
    /// The command line's name of it: `--database-url`.
    package var flag: String { "--\(name.replacing("_", with: "-"))" }
  }
}

// The keys that a role requires or a rule names. All others stand only at their `@Setting`.
extension Settings.Key {
  package static let databaseURL: Self = "database_url"
  package static let amqpURL: Self = "amqp_url"
  package static let workerURL: Self = "worker_url"
  package static let workerToken: Self = "worker_token"
  package static let encryptionKey: Self = "encryption_key"
  package static let agentCommand: Self = "agent_command"
  package static let logLevel: Self = "log_level"
  static let callbackURL: Self = "callback_url"
  static let posthogURL: Self = "posthog_url"
  static let posthogKey: Self = "posthog_key"
  static let actorHeader: Self = "actor_header"
  static let trustedProxies: Self = "trusted_proxies"
  static let prepareTimeout: Self = "prepare_timeout"
  static let workerTimeout: Self = "worker_timeout"
}

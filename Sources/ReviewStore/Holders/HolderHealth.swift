internal import FoundationEssentials
internal import Primitives

extension Holder {
  /// Something that holds a process back.
  package struct Fault: Sendable, Hashable, Codable {
    /// What holds it back.
    package enum Cause: String, Sendable, Hashable, Codable {
      /// Calls to a target are held back until a probe has succeeded.
      case circuit
      /// A platform's rate limit is used up.
      case rateLimited = "rate_limited"
      /// The broker takes no messages: it has a memory or disk alarm.
      case brokerBlocked = "broker_blocked"
      /// There is no connection to the broker.
      case brokerAway = "broker_away"
      /// The broker is there and confirms no ticket: it refuses them, or has no route for them.
      case ticketsRefused = "tickets_refused"
      /// Postgres does not answer what the process asks.
      case databaseAway = "database_away"
      /// Its own session, which holds its lock, is lost.
      case notSignedOn = "not_signed_on"
      /// BATON_ENCRYPTION_KEY does not fit, or it is connected and nothing is delivered, and so on: the reason says it.
      case other
    }

    package var cause: Cause
    /// Of a circuit: `worker`, or a platform's host.
    package var target: String?
    /// For how long already, in seconds.
    package var seconds: Double
    package var reason: String?

    private static let reasonCountMax = 500

    package init(_ cause: Cause, target: String? = nil, for duration: Duration, reason: String? = nil) {
      self.cause = cause
      self.target = target
      seconds = duration / .seconds(1)
      // Another's words: a heartbeat must not fail because of them.
      self.reason = reason.map { String($0.prefix(Self.reasonCountMax)).storable }
    }
  }

  /// What a process says of itself with every heartbeat, for people: no decision rests on it.
  package struct Health: Sendable, Equatable, Codable {
    package var version: String?
    /// What it does: `baton up` has four roles.
    package var roles: [String] = []
    package var faults: [Fault] = []
    /// How long ago a worker last accepted a review from it, in seconds; nil if none has.
    package var dispatchedSeconds: Double?
    /// How long ago it has last seen that nothing is left to claim, in seconds; nil if it claims nothing, or has not seen that.
    package var allClaimedSeconds: Double?
    /// How long its last heartbeat took, in seconds.
    package var roundTripSeconds: Double?

    package init(version: String? = nil, roles: [String] = [], faults: [Fault] = []) {
      self.version = version
      self.roles = roles
      self.faults = faults
    }

    private enum CodingKeys: String, CodingKey {
      case version, roles, faults, dispatchedSeconds, allClaimedSeconds, roundTripSeconds
    }

    package init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      version = try container.decodeIfPresent(String.self, forKey: .version)
      roles = try container.decodeIfPresent([String].self, forKey: .roles) ?? []
      // One that this version does not know, of a newer version, costs only itself.
      faults =
        try container.decodeIfPresent([JSONValue].self, forKey: .faults)?
        .compactMap { try? JSONCoding.decode(Fault.self, from: JSONCoding.encode($0)) } ?? []
      dispatchedSeconds = try container.decodeIfPresent(Double.self, forKey: .dispatchedSeconds)
      allClaimedSeconds = try container.decodeIfPresent(Double.self, forKey: .allClaimedSeconds)
      roundTripSeconds = try container.decodeIfPresent(Double.self, forKey: .roundTripSeconds)
    }

    /// As `baton_holders.health` holds it; nothing in what cannot be read, as of an older version.
    init(json: String) { self = (try? JSONCoding.decode(Health.self, from: Data(json.utf8))) ?? Health() }

    /// More faults than this help no reader, and a heartbeat stays small.
    private static let faultCountMax = 20

    /// As `baton_holders.health` holds it.
    var json: String {
      var health = self
      health.faults = Array(faults.prefix(Self.faultCountMax))
      return (try? JSONCoding.encode(health)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
  }
}

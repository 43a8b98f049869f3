package import ReviewStore

extension HolderStanding {
  /// What a process does, as it reports it.
  enum Role: String, Sendable, CustomStringConvertible {
    case produce, consume, reap, serve

    var description: String { rawValue }
  }

  /// Whether the process has a role. One of an older version reports none but its own; `baton up` then counted as a consumer alone.
  func does(_ role: Role) -> Bool { roles.contains(role.rawValue) }

  /// What it does; one of an older version names only one of its roles.
  var roles: [String] { health.roles.isEmpty ? [role] : health.roles }

  /// What it does, for people.
  package var title: String { health.roles.count > 1 ? "up" : role }
}

extension Migrator {
  /// Why the schema is not the one that this program works with, or why it could not be made so.
  package enum SchemaFault: Error, CustomStringConvertible, Equatable {
    /// There is none that the session's search path leads to.
    case missing(path: String)
    case older(found: Int, needed: Int)
    case newer(found: Int, known: Int)
    /// No schema of the search path exists.
    case noPlace(path: String)
    /// Another table of the same name comes first in the search path.
    case shadowed(table: String, by: String)
    /// A step could not get a lock.
    case blocked(version: Int, by: [Blocker])

    package var description: String {
      switch self {
      case .missing(let path):
        "this account finds no Baton schema in its search_path (\(path)): run `baton migrate`; if the schema is elsewhere, name it "
          + "in BATON_DATABASE_URL (?options=-csearch_path%3DNAME), and grant this account USAGE on it"
      case .older(let found, let needed):
        "the schema is at version \(found), this program needs \(needed): run `baton migrate`"
      case .newer(let found, let known):
        "the schema is at version \(found), this program knows only up to \(known): upgrade this program"
      case .noPlace(let path):
        "no schema of the search_path (\(path)) exists: create it (CREATE SCHEMA), then run `baton migrate` again"
      case .shadowed(let table, let found):
        "the search_path leads to another table instead of Baton's \(table): \(found). Put Baton's schema first in BATON_DATABASE_URL "
          + "(?options=-csearch_path%3DNAME)"
      case .blocked(let version, let blockers):
        "version \(version) of the schema was not applied: it needs a lock that is held by \(Blocker.list(blockers)). Nothing is "
          + "changed by this step. End that transaction\(Blocker.advice(blockers)), then run `baton migrate` again"
      }
    }
  }

  /// A session that holds a lock which a step needs.
  package struct Blocker: Sendable, Equatable, CustomStringConvertible {
    package var processID: Int
    package var application: String
    package var user: String
    /// Since its transaction began; nil if this account may not see it.
    package var age: Duration?

    package var description: String {
      let age = age.map { ", in a transaction for \($0.components.seconds) s" } ?? ""
      return "session \(processID) (application \"\(application)\", user \(user)\(age))"
    }

    /// As one text for a message.
    package static func list(_ blockers: [Blocker]) -> String {
      blockers.isEmpty ? "another session" : blockers.map(\.description).joined(separator: ", ")
    }

    static func advice(_ blockers: [Blocker]) -> String {
      blockers.first.map { " (`SELECT pg_terminate_backend(\($0.processID))`)" } ?? ""
    }
  }
}

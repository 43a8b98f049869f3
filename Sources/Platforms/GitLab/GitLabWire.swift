internal import Primitives

/// GitLab's JSON, as far as it is read.
enum GitLabWire {
  struct User: Decodable, Sendable {
    var id: Int64?
    var username: String?
    /// Only newer versions send it.
    var bot: Bool?

    /// Whether it is the user that GitLab makes for a project's or a group's access token: `project_7_bot_…`.
    var isBot: Bool { bot == true || username?.contains(/^(project|group)_\d+_bot/) == true }
  }

  /// `GET /personal_access_tokens/self`, which knows all kinds of access tokens; with `token` if it was just made.
  struct AccessToken: Decodable, Sendable {
    var id: Int64?
    var user_id: Int64?
    var active: Bool?
    var revoked: Bool?
    /// A day; nil if it does not end.
    var expires_at: String?
    var created_at: JSONValue?
    var token: String?
  }

  struct DiffRefs: Decodable, Sendable {
    var base_sha: String?
    var start_sha: String?
    var head_sha: String?
  }

  struct References: Decodable, Sendable {
    /// `group/project!7`.
    var full: String?
  }

  /// `GET /projects/{id}/merge_requests/{iid}`.
  struct MergeRequest: Decodable, Sendable {
    var state: String
    var draft: Bool?
    var work_in_progress: Bool?
    var title: String
    var description: String?
    var author: User?
    var sha: String?
    var diff_refs: DiffRefs?
    var references: References?
    var source_branch: String?
    var target_branch: String?
    var source_project_id: Int64?
    var target_project_id: Int64?
  }

  struct Position: Decodable, Sendable {
    var new_path: String?
    var old_path: String?
    var new_line: Int?
    var old_line: Int?
  }

  /// A note of a merge request, alone or in a discussion.
  struct Note: Decodable, Sendable {
    var id: Int64
    var body: String?
    var author: User?
    var updated_at: JSONValue?
    var system: Bool?
    var resolved: Bool?
    var position: Position?
  }

  /// An item of `GET /projects/{id}/merge_requests/{iid}/discussions`.
  struct Discussion: Decodable, Sendable {
    var notes: [Note]
  }
}

internal import FoundationEssentials
internal import HTTPTypes
internal import Primitives
internal import Reviews

/// One thing that was written to a pull request, or to a commit.
package struct FakeFeedback: Sendable, Codable, Equatable {
  /// What was written.
  package enum Kind: String, Sendable, Codable { case reaction, check }

  package var kind: Kind
  /// `owner/name`, or GitLab's path or number, as it was called.
  package var repository: String
  /// The number of the pull request; of a check run, its id; 0 for a commit status.
  package var number: Int
  /// The commit of a check.
  package var sha: String?
  /// `eyes`, or the check's state: `queued`, `in_progress`, `success`, …
  package var state: String
  /// What the caller calls it: `external_id` of a check run.
  package var externalID: String?
}

/// The writable side of the fake platform: it keeps what it received, so that a test can look.
struct FakeFeedbackRoutes: Sendable {
  let state: FakeState
  let api: String

  func answer(_ call: FakeCall, _ method: HTTPRequest.Method, path: String, body: [UInt8]) -> FakeAnswer {
    switch (call.route, method) {
    case (.githubCheckRuns, .get): return known(sha: path.split(separator: "/").dropLast().last.map { String($0) })
    case (.gitlabAwardEmoji, .get): return awarded(call)
    default: break
    }
    guard let fields = try? JSONValue(json: body) else {
      return FakeAnswer(status: 422, json: #"{"message":"Problems parsing JSON"}"#)
    }
    switch call.route {
    case .githubReaction:
      let isNew = record(.reaction, call, state: fields["content"]?.string)
      var answer = FakeAnswer(.reaction, api: api)
      answer.status = isNew ? 201 : 200
      return answer
    case .gitlabAwardEmoji:
      let isNew = record(.reaction, call, state: fields["name"]?.string)
      return isNew
        ? FakeAnswer(status: 201, json: #"{"id":1}"#)
        : FakeAnswer(status: 404, json: #"{"message":"404 Award Emoji Name has already been taken Not Found"}"#)
    case .gitlabStatus:
      return status(call, sha: path.split(separator: "/").last.map { String($0) }, state: fields["state"]?.string ?? "")
    default: return checkRun(call, method, fields)
    }
  }

  /// - Returns: false if the same was there already.
  private func record(_ kind: FakeFeedback.Kind, _ call: FakeCall, state text: String?) -> Bool {
    let entry = FakeFeedback(kind: kind, repository: call.repository, number: call.number, state: text ?? "")
    return state.withValues { values in
      if values.feedback.contains(entry) { return false }
      values.feedback.append(entry)
      return true
    }
  }

  private func awarded(_ call: FakeCall) -> FakeAnswer {
    let names = state.withValues { values in
      values.feedback.filter { $0.repository == call.repository && $0.number == call.number }.map(\.state)
    }
    return FakeAnswer(json: "[\(names.map { #"{"name":"\#($0)"}"# }.joined(separator: ","))]")
  }

  private func status(_ call: FakeCall, sha: String?, state text: String) -> FakeAnswer {
    let entry = FakeFeedback(kind: .check, repository: call.repository, number: 0, sha: sha, state: text)
    let isSame = state.withValues { values in
      let last = values.feedback.last { $0.kind == .check && $0.repository == entry.repository && $0.sha == sha }
      if last == entry { return true }
      values.feedback.append(entry)
      return false
    }
    return isSame
      ? FakeAnswer(
        status: 400, json: #"{"message":"Cannot transition status via :run from :running (Reason(s): …)"}"#)
      : FakeAnswer(status: 201, json: #"{"id":93,"status":"\#(text)"}"#)
  }

  // MARK: Check runs

  private func checkRun(_ call: FakeCall, _ method: HTTPRequest.Method, _ fields: JSONValue) -> FakeAnswer {
    let text = fields["conclusion"]?.string ?? fields["status"]?.string ?? "queued"
    let id: Int? = state.withValues { values in
      if method == .post {
        let id = 1_000 + values.feedback.count
        values.feedback.append(
          FakeFeedback(
            kind: .check, repository: call.repository, number: id, sha: fields["head_sha"]?.string, state: text,
            externalID: fields["external_id"]?.string))
        return id
      }
      guard var run = values.feedback.first(where: { $0.kind == .check && $0.number == call.number }) else {
        return nil
      }
      run.state = text
      values.feedback.append(run)
      return run.number
    }
    guard let id else { return .notFound }
    return FakeAnswer(status: method == .post ? 201 : 200, json: #"{"id":\#(id)}"#)
  }

  private func known(sha: String?) -> FakeAnswer {
    let runs = state.withValues { values in
      var seen: Set<Int> = []
      return values.feedback.filter { $0.kind == .check && $0.sha == sha && seen.insert($0.number).inserted }
    }
    let list = runs.map { #"{"id":\#($0.number),"external_id":"\#($0.externalID ?? "")"}"# }
    return FakeAnswer(json: #"{"total_count":\#(runs.count),"check_runs":[\#(list.joined(separator: ","))]}"#)
  }
}

internal import Primitives
internal import Reviews

extension StartRequest {
  /// The JSON text, in UTF-8. Written by hand: a start is encoded for every dispatch, and this takes a tenth of
  /// `JSONEncoder`'s time. A test checks that it means the same.
  package func encode() -> [UInt8] {
    var json = JSONWriter(capacity: sessionInput.prompt.utf8.count + sessionInput.prompt.utf8.count / 16 + 2_048)
    json.beginObject()
    json.field("reviewId", reviewId.lowercase)
    json.field("attempt", attempt)
    json.field("authToken", authToken)
    json.key("sessionInput")
    sessionInput.write(to: &json)
    json.key("owner")
    json.beginObject()
    json.field("type", owner.type.rawValue)
    json.field("id", owner.id)
    json.key("userId")
    json.value(owner.userId)
    json.endObject()
    json.optionalField("agentVersion", agentVersion)
    json.optionalField("previousCloudAgentSessionId", previousCloudAgentSessionId)
    json.field("maxReviewTimeMinutes", maxReviewTimeMinutes)
    json.endObject()
    return json.bytes
  }
}

extension SessionInput {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.optionalField("githubRepo", githubRepo)
    json.optionalField("gitUrl", gitUrl)
    json.field("prompt", prompt)
    json.field("mode", mode)
    json.field("model", model)
    json.field("platform", platform.rawValue)
    json.field("upstreamBranch", upstreamBranch)
    json.optionalField("githubToken", githubToken)
    json.optionalField("gitToken", gitToken)
    json.optionalField("variant", variant)
    json.optionalField("gateThreshold", gateThreshold)
    json.endObject()
  }
}

internal import FoundationEssentials
internal import Primitives
package import ReviewStore
internal import Reviews

/// The endpoints of events as `/api` and `baton endpoint list --json` give them, every key always present.
package struct EndpointList: Sendable, Encodable {
  package var endpoints: [EndpointBody]

  package init(_ endpoints: [Endpoint]) { self.endpoints = endpoints.map { EndpointBody($0) } }
}

/// One endpoint: its secret is never part of it.
package struct EndpointBody: Sendable, Encodable {
  let endpoint: Endpoint

  package init(_ endpoint: Endpoint) { self.endpoint = endpoint }

  private enum CodingKeys: String, CodingKey {
    case id, url, owner, isEnabled, createdAt, failures, failingSince, acceptedAt, lastError, undelivered, givenUp
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(endpoint.id.lowercase, forKey: .id)
    try container.encode(endpoint.url, forKey: .url)
    try container.encode(endpoint.owner, forKey: .owner)
    try container.encode(endpoint.isEnabled, forKey: .isEnabled)
    try container.encode(endpoint.createdAt, forKey: .createdAt)
    try container.encode(endpoint.failures, forKey: .failures)
    try container.encode(endpoint.failingSince, forKey: .failingSince)
    try container.encode(endpoint.acceptedAt, forKey: .acceptedAt)
    try container.encode(endpoint.lastError, forKey: .lastError)
    try container.encode(endpoint.undelivered, forKey: .undelivered)
    try container.encode(endpoint.givenUp, forKey: .givenUp)
  }
}

package import FoundationEssentials
internal import Primitives
package import Tracing

/// The names of attributes: OpenTelemetry's semantic conventions, and Baton's own.
package enum SpanKey {
  package static let errorType = "error.type"
  package static let method = "http.request.method"
  package static let route = "http.route"
  package static let statusCode = "http.response.status_code"
  package static let address = "server.address"
  package static let port = "server.port"
  package static let path = "url.path"
  package static let messagingSystem = "messaging.system"
  package static let messagingOperation = "messaging.operation.name"
  package static let messagingOperationType = "messaging.operation.type"
  package static let destination = "messaging.destination.name"
  package static let batchCount = "messaging.batch.message_count"
  package static let databaseSystem = "db.system.name"
  package static let databaseOperation = "db.operation.name"
  package static let batchSize = "db.operation.batch.size"
  package static let reviewID = "baton.review.id"
  package static let attempt = "baton.review.attempt"
  package static let platform = "baton.platform"
  package static let event = "baton.webhook.event"
  package static let outcome = "baton.outcome"
  package static let failures = "baton.dispatch.failures"
  package static let status = "baton.review.status"
  package static let isAdopted = "baton.run.adopted"
}

extension SpanAttributes {
  /// Which review a span is about.
  package static func review(_ id: UUID, attempt: Int? = nil) -> SpanAttributes {
    var attributes: SpanAttributes = [SpanKey.reviewID: .string(id.lowercase)]
    if let attempt { attributes[SpanKey.attempt] = attempt }
    return attributes
  }

  /// A statement, or several that belong together.
  package static func statement(_ name: String) -> SpanAttributes {
    [SpanKey.databaseSystem: "postgresql", SpanKey.databaseOperation: .string(name)]
  }

  /// What a queue is asked to do with a message.
  /// - Parameter type: `send` or `process`.
  package static func message(_ operation: String, type: String, of queue: String) -> SpanAttributes {
    [
      SpanKey.messagingSystem: "rabbitmq", SpanKey.messagingOperation: .string(operation),
      SpanKey.messagingOperationType: .string(type), SpanKey.destination: .string(queue),
    ]
  }

  /// These, and others.
  package func with(_ others: SpanAttributes) -> SpanAttributes {
    var attributes = self
    attributes.merge(others)
    return attributes
  }
}

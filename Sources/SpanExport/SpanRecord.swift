package import Primitives
package import Tracing

/// A span that has ended.
package struct SpanRecord: Sendable {
  package var name: String
  package var kind: SpanKind
  package var context: TraceContext
  /// nil if it begins its trace.
  package var parentID: String?
  /// Since 1970.
  package var startNanoseconds: UInt64
  package var endNanoseconds: UInt64 = 0
  package var attributes: SpanAttributes = [:]
  package var events: [SpanEvent] = []
  package var links: [TraceContext] = []
  package var status: SpanStatus?
  /// What was left out, as there was too much of it.
  package var droppedEventCount = 0
  package var droppedLinkCount = 0
}

extension SpanRecord {
  /// Bounds of one span, so that the queue has one in bytes.
  package static let attributeCountMax = 32
  package static let textByteCountMax = 1_024
  package static let eventCountMax = 8
  package static let linkCountMax = 128

  mutating func add(_ event: SpanEvent) {
    guard events.count < Self.eventCountMax else { return droppedEventCount += 1 }
    events.append(event)
  }

  mutating func add(_ link: TraceContext) {
    guard links.count < Self.linkCountMax else { return droppedLinkCount += 1 }
    links.append(link)
  }
}

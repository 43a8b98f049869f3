/// The template of a path, as `/api/reviews/{id}`. It is also the label in the metrics: the path itself never is.
package struct RoutePath: Hashable, Sendable, CustomStringConvertible {
  package let template: String
  /// The statuses whose series exist from the start, so that a rate over the first answer is not lost.
  package let expectedStatuses: [Int]

  /// - Parameters:
  ///   - template: with a name in braces for what differs.
  ///   - answers: the statuses of its answers without a fault; 200 if none is given.
  package init(_ template: String, answers: Int...) {
    self.template = template
    expectedStatuses = (answers.isEmpty ? [200] : answers) + [500]
  }

  /// Every path that no route has.
  package static let other = RoutePath("other", answers: 404)

  package var description: String { template }

  package static func == (left: Self, right: Self) -> Bool { left.template == right.template }
  package func hash(into hasher: inout Hasher) { hasher.combine(template) }
}

package import ServiceLifecycle

/// A service that its group shows by the name of its type.
///
/// A `ServiceGroup` makes a name of each service when it starts, and writes it when the service fails: without this, of every property that the
/// service has, which takes milliseconds and may be more than a log should hold.
package struct NamedService: Service, CustomStringConvertible {
  private let service: any Service

  /// - Parameter service: what runs.
  package init(_ service: any Service) { self.service = service }

  /// The name of the service's type.
  package var description: String { "\(type(of: service))" }

  /// Runs the service.
  /// - Throws: what the service throws.
  package func run() async throws { try await service.run() }
}

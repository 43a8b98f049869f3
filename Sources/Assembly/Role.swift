internal import Platforms
package import Settings

/// A part of the dispatcher that a process runs. A process may run several: `baton up` runs all.
package enum Role: String, Sendable, CaseIterable {
  case consume, produce, reap, serve
}

extension Set<Role> {
  /// All roles.
  package static var all: Self { Self(Role.allCases) }

  /// Settings that these roles cannot do without.
  package var requiredSettings: [Settings.Key] {
    [.databaseURL, .amqpURL] + (contains(.consume) ? [.workerURL, .workerToken, .encryptionKey] : [])
  }

  /// What does not fit together in the settings of these roles, a line each; what is missing altogether is not named here.
  package func faults(of settings: Settings) -> [String] {
    guard contains(.consume) || settings.encryptionKey != nil else { return [] }
    do {
      _ = try PlatformSettings.app(id: settings.githubAppID, privateKey: settings.githubPrivateKey)
      return []
    } catch {
      return error.faults
    }
  }

  /// What other processes call a process of these roles: one that consumes, whatever else it does, counts as a consumer.
  var holderRole: String { names.first ?? "" }

  /// What a process of these roles says in its heartbeat.
  var names: [String] { Role.allCases.filter(contains).map(\.rawValue) }

  /// The connections that services of these roles make or take.
  /// - Parameter worker: how many agents a reference worker in the same process runs at once; nil if there is none.
  func demands(_ settings: Settings, worker: Int?) -> [OpenFiles.Demand] {
    var demands: [OpenFiles.Demand] = []
    if contains(.serve) {
      demands.append(.clients)
      if settings.encryptionKey != nil { demands.append(.events) }
    }
    if contains(.consume) { demands.append(worker == nil ? .worker(settings) : .worker(settings).withBothEnds) }
    if contains(.reap) || contains(.serve) {
      // A server has a client of its own for the events that its pages show.
      let questions = OpenFiles.Demand.workerQuestions(clients: contains(.serve) ? 2 : 1)
      demands.append(worker == nil ? questions : questions.withBothEnds)
    }
    if contains(.consume) || contains(.serve) || contains(.reap) && settings.encryptionKey != nil {
      demands.append(.platforms(settings, reviewsAtOnce: contains(.consume) ? settings.prefetch : 0))
    }
    if let worker { demands += [.agents(worker), .callbacks] }
    if settings.metricsPort != nil { demands.append(.probes) }
    return demands
  }
}

internal import AMQPClient
internal import Glibc
internal import Platforms
internal import PostgresClient
internal import ReferenceWorker
internal import ReviewStore
internal import Settings

/// The program's exit statuses; those from 64 on are of sysexits.h.
enum EndStatus: Int32, Sendable {
  case done = 0
  /// The operation failed; the message says what, and what to do.
  case failed = 1
  /// Wrong usage. ArgumentParser ends with the same.
  case usage = 64
  /// Postgres or the broker cannot be reached.
  case unavailable = 69
  /// A setting is missing or invalid, or the broker's objects contradict them.
  case settings = 78
  /// The reader of the results has gone: what a shell shows of a process that SIGPIPE has ended.
  case outputClosed = 141
}

/// Why a command ends without success: the status, and the message for standard error.
struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  var status: EndStatus
  /// What failed, on what, and what to try. Empty if everything has been said already.
  var description: String

  init(_ status: EndStatus, _ description: String) {
    self.status = status
    self.description = description
  }

  /// The command has printed what went wrong.
  static let reported = Failure(.failed, "")
  /// The reader of the results has gone.
  static let outputClosed = Failure(.outputClosed, "")
}

extension Failure {
  /// The failure that an error stands for; nil for errors that ArgumentParser prints (wrong usage, help, all others).
  init?(_ error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as SettingsError: self.init(.settings, error.description)
    case let faults as PlatformSettings.Faults: self.init(.settings, faults.description)
    case let fault as WorkerStateFault: self.init(.settings, fault.description)
    case let fault as IsolationFault: self.init(.settings, fault.description)
    case let error as Migrator.SchemaFault: self.init(.failed, error.description)
    case let error as SessionFault: self.init(.settings, error.description)
    case let error as PostgresError: self.init(error, at: nil)
    case let error as AMQPError: self.init(error)
    case OutputFault.closed: self = .outputClosed
    case OutputFault.failed(let code):
      self.init(.failed, "cannot write the results: \(String(cString: strerror(code)))")
    case is CancellationError: self.init(.failed, "interrupted before the end")
    default: return nil
    }
  }

  /// - Parameter target: the server, without its password.
  init(_ error: PostgresError, at target: String?) {
    let text = "\(error)"
    let place = target.map { text.contains($0) ? "" : " (\($0))" } ?? ""
    if error.isConnectionStringFault {
      self.init(
        .settings, "\(text)\nCorrect BATON_DATABASE_URL, or the service file and the variables that libpq reads.")
    } else if error.isUnreachable {
      self.init(
        .unavailable,
        "\(text)\(place)\nCheck that Postgres runs and that BATON_DATABASE_URL is right, then try again.")
    } else if error.sqlState == "42501" {
      self.init(
        .failed,
        "\(text)\(place)\nThis account lacks a right. `baton migrate` needs the account that owns the schema; for all else grant it a role of "
          + "deploy/postgres/roles.sql, and run that file again after each `baton migrate` (deploy/roles.md).")
    } else {
      let advice = error.isTransient ? "\nThis passes by itself: try again." : ""
      self.init(.failed, "\(text)\(place)\(advice)")
    }
  }

  init(_ error: AMQPError) {
    guard error.scope != .configuration else {
      self.init(.settings, "\(error)\nCorrect BATON_AMQP_URL.")
      return
    }
    switch error.cause {
    case .differentDeclaration:
      self.init(
        .settings,
        "\(error)\nIt exists already, declared otherwise than Baton declares it. Remove it at the broker once it is empty, "
          + "or set BATON_QUEUE to another name, then run `baton migrate`.")
    case .credentials:
      self.init(.unavailable, "\(error)\nCheck user, password and virtual host in BATON_AMQP_URL.")
    case .permission:
      self.init(
        .settings,
        "\(error)\nGive this account the permission at the broker (`rabbitmqctl set_permissions`), or run `baton migrate` once with an "
          + "account that may declare: the others then only need 'write' on the exchanges and 'read' on the queues.")
    case .virtualHost:
      self.init(
        .settings,
        "\(error)\nCheck the virtual host at the end of BATON_AMQP_URL: it has to exist at the broker (`rabbitmqctl add_vhost`), and the "
          + "account needs permissions in it (`rabbitmqctl set_permissions`).")
    case .limit:
      self.init(
        .unavailable,
        "\(error)\nA limit at the broker is reached. Close what is not needed, or raise the limit (`rabbitmqctl set_vhost_limits`, "
          + "`rabbitmqctl set_user_limits`, or `channel_max` in rabbitmq.conf), then try again.")
    case .resources:
      self.init(
        .unavailable, "the broker is in trouble: \(error)\nThe broker's log says more. Try again once it is well.")
    case .notFound:
      self.init(.failed, "\(error)\nRun `baton migrate`, which declares what is missing.")
    case .other where error.isConnectionLost:
      self.init(
        .unavailable,
        "the broker cannot be reached: \(error)\nCheck that RabbitMQ runs and that BATON_AMQP_URL is right, then try again."
      )
    case .messageSize, .other:
      self.init(.failed, "the broker refused: \(error)")
    }
  }
}

extension PostgresError {
  /// Whether there was no server to answer, rather than one that refused the statement.
  fileprivate var isUnreachable: Bool {
    switch kind {
    case .connectionFailed, .connectionLost, .closed: true
    // Shutting down, crashed, starting up, too many connections.
    case .server(let state): state.hasPrefix("57P0") || state == "53300"
    case .decoding, .encoding, .cancelled: false
    }
  }
}

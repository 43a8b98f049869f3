internal import Glibc
internal import Platforms
internal import ReferenceWorker
internal import ReviewQueue
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
    case let fault as any StoreFault: self.init(fault, at: nil)
    case let fault as any QueueFault: self.init(fault)
    case OutputFault.closed: self = .outputClosed
    case OutputFault.failed(let code):
      self.init(.failed, "cannot write the results: \(String(cString: strerror(code)))")
    case is CancellationError: self.init(.failed, "interrupted before the end")
    default: return nil
    }
  }

  /// - Parameter target: the server, without its password.
  init(_ fault: any StoreFault, at target: String?) {
    let text = "\(fault)"
    let place = target.map { text.contains($0) ? "" : " (\($0))" } ?? ""
    switch fault.cause {
    case .address:
      self.init(
        .settings, "\(text)\nCorrect BATON_DATABASE_URL, or the service file and the variables that libpq reads.")
    case .noConnection, .noSession:
      self.init(
        .unavailable,
        "\(text)\(place)\nCheck that Postgres runs and that BATON_DATABASE_URL is right, then try again.")
    case _ where fault.lacksRight:
      self.init(
        .failed,
        "\(text)\(place)\nThis account lacks a right. `baton migrate` needs the account that owns the schema; for all else grant it a role of "
          + "deploy/postgres/roles.sql, and run that file again after each `baton migrate` (deploy/roles.md).")
    default:
      let advice = fault.isTransient ? "\nThis passes by itself: try again." : ""
      self.init(.failed, "\(text)\(place)\(advice)")
    }
  }

  init(_ fault: any QueueFault) {
    switch fault.faultKind {
    case .settings:
      self.init(.settings, "\(fault)\nCorrect BATON_AMQP_URL.")
    case .differentDeclaration:
      self.init(
        .settings,
        "\(fault)\nIt exists already, declared otherwise than Baton declares it. Remove it at the broker once it is empty, "
          + "or set BATON_QUEUE to another name, then run `baton migrate`.")
    case .credentials:
      self.init(.unavailable, "\(fault)\nCheck user, password and virtual host in BATON_AMQP_URL.")
    case .permission:
      self.init(
        .settings,
        "\(fault)\nGive this account the permission at the broker (`rabbitmqctl set_permissions`), or run `baton migrate` once with an "
          + "account that may declare: the others then only need 'write' on the exchanges and 'read' on the queues.")
    case .virtualHost:
      self.init(
        .settings,
        "\(fault)\nCheck the virtual host at the end of BATON_AMQP_URL: it has to exist at the broker (`rabbitmqctl add_vhost`), and the "
          + "account needs permissions in it (`rabbitmqctl set_permissions`).")
    case .limit:
      self.init(
        .unavailable,
        "\(fault)\nA limit at the broker is reached. Close what is not needed, or raise the limit (`rabbitmqctl set_vhost_limits`, "
          + "`rabbitmqctl set_user_limits`, or `channel_max` in rabbitmq.conf), then try again.")
    case .resources:
      self.init(
        .unavailable,
        "the broker lacks a resource or has a fault: \(fault)\nThe broker's log says more. Try again when it is gone.")
    case .notFound:
      self.init(.failed, "\(fault)\nRun `baton migrate`, which declares what is missing.")
    case .unreachable:
      self.init(
        .unavailable,
        "the broker cannot be reached: \(fault)\nCheck that RabbitMQ runs and that BATON_AMQP_URL is right, then try again."
      )
    case .refused:
      self.init(.failed, "the broker refused: \(fault)")
    }
  }
}

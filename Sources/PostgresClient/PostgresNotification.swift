/// What a `NOTIFY` sent.
public struct PostgresNotification: Sendable, Hashable {
  /// The channel as it was named in the `LISTEN`.
  public let channel: String
  /// Empty if the `NOTIFY` gave none.
  public let payload: String
  /// The process of the session that notified.
  public let backendPID: Int32

  /// Creates a notification.
  public init(channel: String, payload: String, backendPID: Int32) {
    self.channel = channel
    self.payload = payload
    self.backendPID = backendPID
  }
}

internal import Certificates
package import Resilience
internal import Synchronization

/// How to reach a broker, and how patient to be with it.
public struct AMQPConfiguration: Sendable {
  /// The brokers, tried in this order until one accepts; the nodes of one cluster. The one that accepted last comes first, so that a
  /// silent one costs its time only once.
  public var endpoints: [AMQPEndpoint]
  /// Shared by all copies.
  let preferred = PreferredEndpoint()
  /// The name that the broker shows for the connection.
  public var connectionName: String
  /// After twice this time without a byte from the broker the connection counts as lost; whole seconds, at least 1 s.
  public var heartbeat: Duration = .seconds(10)
  /// The longest wait for TCP, for TLS and for the login, each. The addresses of a name are tried side by side, a quarter of a
  /// second apart. Looking up the name comes on top.
  public var connectTimeout: Duration = .seconds(5)
  /// The longest wait for the answer to a declaration and the like; past it the connection is given up.
  public var rpcTimeout: Duration = .seconds(10)
  /// The longest time without a confirm while messages are in flight; past it the connection counts as lost, and they are unknown. Does not
  /// count while the broker blocks publishers.
  public var confirmTimeout: Duration = .seconds(10)
  /// How `amqps` endpoints are verified.
  public var tls = AMQPTLS()
  /// The longest pause before the first further attempt to connect; it doubles with each one. Pauses are drawn evenly from zero to that.
  public var reconnectDelay: Duration = .milliseconds(200)
  /// The longest pause between attempts to connect.
  public var reconnectDelayMax: Duration = .seconds(5)
  /// How much may be published and not yet confirmed.
  public var publishWindow = AMQPPublishWindow()

  /// Creates a configuration with the defaults.
  public init(endpoints: [AMQPEndpoint], connectionName: String) {
    self.endpoints = endpoints
    self.connectionName = connectionName
  }

  /// Reads a comma-separated list of URLs.
  /// - Throws: an error of scope `configuration` that says which URL of the list is wrong and why, never showing the
  ///   URL.
  public init(urls: String, connectionName: String) throws(AMQPError) {
    var endpoints: [AMQPEndpoint] = []
    let texts = urls.split(separator: ",", omittingEmptySubsequences: false)
    for (index, text) in texts.enumerated() {
      do {
        endpoints.append(try AMQPEndpoint(url: String(text.trimmingSpaces())))
      } catch {
        let which = texts.count == 1 ? "" : " (number \(index + 1) of \(texts.count))"
        throw AMQPError(
          operation: error.operation + which, text: error.text, scope: .configuration, isPermanent: true)
      }
    }
    self.init(endpoints: endpoints, connectionName: connectionName)
  }
}

/// How much may be written to the socket and not yet confirmed; more waits in memory.
///
/// The bound on bytes is what keeps a publisher's thread from blocking in the socket while the broker does not read (a
/// memory alarm).
public struct AMQPPublishWindow: Sendable, Hashable {
  /// At most this many messages.
  public var messageMax = 256
  /// At most this many bytes of bodies; a larger single body goes alone, when all before it is confirmed. While the broker does not
  /// read, that one may block the publisher's thread.
  public var byteMax = 1_048_576
  /// A larger single body is refused with `.notSent`; RabbitMQ 3 takes 128 MiB unless `max_message_size` is lower, and then it
  /// closes the channel.
  public var bodyByteMax = 134_217_728
  /// At most this many messages wait for the window or for a connection; one more is refused with `.notSent`.
  public var waitingMax = 10_000

  /// The defaults: 256 messages, 1 MiB, single bodies up to 128 MiB, 10,000 waiting.
  public init() {}
}

/// How an `amqps` endpoint is verified. All files are read anew for each connection.
public struct AMQPTLS: Sendable, Hashable {
  /// The certificates to trust, a PEM file: what SSL_CERT_FILE names, or the system's, unless set.
  public var authorityFile = SystemCertificates.file
  /// Whether the broker's certificate must be signed by one of them. Off means no protection against an impostor.
  public var verifiesPeer = true
  /// Whether the certificate must name the host, by its DNS name or its IP address. Means nothing without `verifiesPeer`.
  public var verifiesHostName = true
  /// The client's own certificate, a PEM file; nil for none.
  public var certificateFile: String?
  /// The key of `certificateFile`, a PEM file without a passphrase.
  public var keyFile: String?

  /// The defaults: the system's certificates, everything verified, no client certificate. TLS 1.2 at least.
  public init() {}
}

/// Which broker of several accepted last.
final class PreferredEndpoint: Sendable {
  private let endpoint = Mutex<AMQPEndpoint?>(nil)

  func note(_ accepted: AMQPEndpoint) { endpoint.withLock { $0 = accepted } }

  func ordered(_ endpoints: [AMQPEndpoint]) -> [AMQPEndpoint] {
    let last = endpoint.withLock { $0 }
    return endpoints.filter { $0 == last } + endpoints.filter { $0 != last }
  }
}

extension Substring {
  fileprivate func trimmingSpaces() -> Substring {
    var text = self.drop(while: \.isWhitespace)
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }
}

extension AMQPConfiguration {
  /// Both delays in one value.
  package var reconnect: Backoff {
    get { Backoff(base: reconnectDelay, max: reconnectDelayMax) }
    set { (reconnectDelay, reconnectDelayMax) = (newValue.base, newValue.max) }
  }
}

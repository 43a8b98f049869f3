internal import Glibc
internal import HTTPTrust
internal import Logging
internal import Primitives
internal import Settings
internal import SpanExport
internal import Spans
internal import Telemetry
internal import Tracing

extension SpanExporter {
  /// Has this process record spans, if BATON_OTLP_ENDPOINT says where they go.
  ///
  /// The only place that knows which tracer Baton uses: another one of swift-distributed-tracing can be started here.
  /// - Parameter command: of the process, as `consume`.
  /// - Returns: the service that sends them; nil if there is none.
  static func start(
    _ settings: Settings, command: String, version: String, trust: HTTPTrust, metrics: BatonMetrics, logger: Logger
  ) -> SpanExporter? {
    guard let endpoint = settings.otlpEndpoint else { return nil }
    let sender = OTLPSender(
      endpoint: endpoint, headers: settings.otlpHeaders.map { ($0.name, $0.value) }, trust: trust)
    let exporter = SpanExporter(
      sender, resource: resource(command, version), version: version, metrics: metrics, logger: logger)
    Spans.start(with: SpanTracer(ratio: settings.traceRatio) { exporter.add($0) })
    logger.info(
      "spans are exported", metadata: ["endpoint": "\(endpoint)", "ratio": "\(settings.traceRatio)"])
    return exporter
  }

  /// What identifies a process: OpenTelemetry's names.
  private static func resource(_ command: String, _ version: String) -> SpanAttributes {
    [
      "service.name": .string("baton-\(command)"), "service.namespace": "baton", "service.version": .string(version),
      "service.instance.id": .string("\(HostName.current)/\(getpid())"), "host.name": .string(HostName.current),
      "process.pid": .int64(Int64(getpid())),
    ]
  }
}

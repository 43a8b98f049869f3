"""A collector of traces for checks: OTLP over HTTP in JSON, read by OpenTelemetry's own protobuf definitions."""
import base64
import dataclasses
import http.server
import json
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclasses.dataclass
class Span:
    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict
    links: list
    failed: bool


def protobuf_ids(value):
    """OTLP writes ids in hexadecimal, where the JSON of protobuf has base64: the only difference between the two."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in ("traceId", "spanId", "parentSpanId") else protobuf_ids(item)
            for key, item in value.items()
        }
    return [protobuf_ids(item) for item in value] if isinstance(value, list) else value


def read(body):
    """The spans of a request. Raises for every name, type or enumeration that the definitions do not have."""
    request = trace_service_pb2.ExportTraceServiceRequest()
    json_format.ParseDict(protobuf_ids(json.loads(body)), request, ignore_unknown_fields=False)
    spans = []
    for resource in request.resource_spans:
        about = {item.key: item.value.string_value for item in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and any(span.trace_id), "a trace's id"
                assert len(span.span_id) == 8 and any(span.span_id), "a span's id"
                assert span.kind != trace_pb2.Span.SPAN_KIND_UNSPECIFIED, "a span's kind"
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, "a span's time"
                spans.append(Span(
                    about["service.name"], span.name, trace_pb2.Span.SpanKind.Name(span.kind), span.trace_id.hex(), span.span_id.hex(),
                    span.parent_span_id.hex(), span.start_time_unix_nano, span.end_time_unix_nano,
                    {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes},
                    [link.span_id.hex() for link in span.links], span.status.code == trace_pb2.Status.STATUS_CODE_ERROR))
    return spans


class Collector:
    """Listens on a free port until it is stopped."""

    def __init__(self):
        self.spans, self.faults, self.bodies, self.stopped = [], [], [], False
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.stopped:
                    self.close_connection = True
                    return
                try:
                    assert self.path == "/v1/traces" and self.headers["content-type"] == "application/json", self.path
                    collector.spans += read(body)
                    collector.bodies.append(body)
                    status = 200
                except Exception as fault:  # noqa: BLE001: every fault is one of the sender's
                    collector.faults.append(f"{type(fault).__name__}: {fault}")
                    status = 400
                answer = json_format.MessageToJson(trace_service_pb2.ExportTraceServiceResponse()).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """Also for connections that are open."""
        self.stopped = True
        self.server.shutdown()
        self.server.server_close()

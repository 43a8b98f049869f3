"""What deploy/traces/check does once the servers are up. Its order is that of main()."""
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import collector
import draw

sys.path.append("deploy/local")
from harness import database_url, free_port, say, sql, until  # noqa: E402

BATON = os.environ["BATON"]
SCRATCH = pathlib.Path(os.environ["TRACES_DIRECTORY"])
LOGS = pathlib.Path(".local/traces")
DATABASE = "traces"
PICTURE = pathlib.Path("Sources/baton/baton.docc/trace.svg")
WEBHOOK = pathlib.Path("Tests/Support/RecordedWebhooks/github_pull_request_opened.json")
SECRETS = {name: secrets.token_hex(16) for name in ("hook", "worker", "callback", "header")}

# Each span of a review, with those above it, as Sources/Spans/SpanName.swift has them.
DISPATCH = ("dispatch", "publish", "intake")
RUN = ("accept run", "call worker", *DISPATCH)
EXPECTED = {
    ("intake",), ("process webhook", "intake"), ("claim", "intake"), ("publish", "intake"), DISPATCH, ("lease", *DISPATCH),
    ("prepare", *DISPATCH), ("call platform", "prepare", *DISPATCH), ("call worker", *DISPATCH), ("record", *DISPATCH), RUN,
    ("run", *RUN), ("agent", "run", *RUN), ("report", *RUN), ("callback", "report", *RUN), ("feedback", "intake"),
    ("call platform", "feedback", "intake"),
}


class Processes:
    """Everything that runs, by name; each logs to a file of its own."""

    def __init__(self, settings):
        self.settings, self.running = settings, {}

    def start(self, name, *command):
        with open(LOGS / f"{name}.log", "w") as log:
            self.running[name] = subprocess.Popen(command, env={**os.environ, **self.settings}, stdout=log, stderr=log)

    def log(self, name):
        return (LOGS / f"{name}.log").read_text()

    def run(self, *command):
        subprocess.run(command, env={**os.environ, **self.settings}, check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        """Ends all in good order: what they still have is flushed."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.running.items():
            status = process.wait(60)
            assert status == 0, f"{name} ended with {status}"
        self.running = {}

    def kill(self):
        for process in self.running.values():
            process.kill()
            process.wait()


def settings(url):
    """One environment for all: the roles take what they need."""
    port, worker, platform = free_port(), free_port(), free_port()
    return {
        "BATON_DATABASE_URL": database_url(DATABASE), "BATON_AMQP_URL": os.environ["AMQP_URL"],
        "BATON_QUEUE": "traces", "BATON_HTTP_PORT": str(port), "BATON_CALLBACK_URL": f"http://127.0.0.1:{port}",
        "BATON_WORKER_URL": f"http://127.0.0.1:{worker}", "BATON_WORKER_TOKEN": SECRETS["worker"],
        "BATON_WORKER_STATE": str(SCRATCH / "worker.sqlite"), "BATON_CALLBACK_SECRET": SECRETS["callback"],
        "BATON_AGENT_COMMAND": """cat >/dev/null; sleep 0.3; echo "trace $TRACEPARENT"; echo '{"gateResult":"pass"}'""",
        "BATON_ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "BATON_GITHUB_APP_ID": "1",
        "BATON_GITHUB_API_URL": f"http://127.0.0.1:{platform}", "BATON_GITHUB_WEBHOOK_SECRET": SECRETS["hook"],
        "BATON_DRAIN_DELAY": "0", "BATON_POLL_INTERVAL": "200ms",
        # The names of OpenTelemetry work as well as Baton's own.
        "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={SECRETS['header']}",
    }


def start(processes):
    own = processes.settings
    processes.start(
        "platforms", str(pathlib.Path(BATON).parent / "baton-sandbox"), "platforms", "--port",
        own["BATON_GITHUB_API_URL"].rsplit(":", 1)[1])
    until("the platforms listen", lambda: "listening" in processes.log("platforms"))
    processes.run(BATON, "migrate")
    processes.run(BATON, "integration", "add", "org:acme", "--platform", "github", "--installation-id", "1")
    processes.run(BATON, "config", "set", "org:acme", "--platform", "github", "--enable", "--gate-threshold", "warning")
    processes.start("worker", BATON, "worker", "--port", own["BATON_WORKER_URL"].rsplit(":", 1)[1])
    for role in ("serve", "produce", "consume"):
        processes.start(role, BATON, role)
    processes.start("reap", BATON, "reap", "--interval", "1s")
    for name in ("worker", "serve"):
        until(f"{name} listens", lambda: "listening" in processes.log(name))


def send_webhook(own, number):
    """As GitHub sends it, signed. Returns the review's id when it is stored."""
    event = json.loads(WEBHOOK.read_text())
    event["pull_request"]["head"]["sha"] = f"{number:040x}"
    body = json.dumps(event).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{own['BATON_HTTP_PORT']}/webhooks/github", body,
        {
            "content-type": "application/json", "x-github-event": "pull_request", "x-github-delivery": str(number),
            "x-hub-signature-256": "sha256=" + hmac.new(SECRETS["hook"].encode(), body, hashlib.sha256).hexdigest(),
        })
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202, answer.status
    return until("the review is stored", lambda: sql(DATABASE, f"SELECT id FROM code_reviews WHERE head_sha = '{number:040x}'"))[0]


def completed(review):
    return sql(
        DATABASE, f"SELECT status = 'completed' AND NOT EXISTS (SELECT FROM baton_feedback WHERE due_at IS NOT NULL) "
        f"FROM code_reviews WHERE id = '{review}'") == ["t"]


def path(span, spans):
    above = spans.get(span.parent)
    assert above or not span.parent, f"{span.name}: its parent was not exported"
    return (span.name, *(path(above, spans) if above else ()))


def check(spans, review, bodies):
    """All spans of the review's trace are one tree, and none holds what it must not."""
    trace = next(span.trace for span in spans if span.name == "intake")
    tree = {span.id: span for span in spans if span.trace == trace}
    found = {path(span, tree) for span in tree.values()}
    assert found == EXPECTED, f"missing: {EXPECTED - found}; unexpected: {found - EXPECTED}"
    assert not [span for span in tree.values() if span.failed]
    assert {span.attributes["baton.review.id"] for span in tree.values() if "baton.review.id" in span.attributes} == {review}
    batch = next(span for span in spans if span.name == "claim batch")
    assert batch.links == [span.id for span in tree.values() if span.name == "claim"]
    for secret in [*SECRETS.values(), "ghs_", "Bearer", "Review this pull request"]:
        assert not [body for body in bodies if secret.encode() in body], "a secret, or a prompt, was exported"
    say(f"{len(tree)} spans of {len({span.service for span in tree.values()})} processes in trace {trace}")
    return list(tree.values())


def check_without_collector(processes, number):
    """Reviews go on; one line of each process that has spans, and the metric, say what is wrong."""
    began = time.monotonic()
    review = send_webhook(processes.settings, number)
    until("a review is completed without a collector", lambda: completed(review))
    say(f"without a collector a review took {time.monotonic() - began:.1f} s")
    processes.stop()
    for name in ("serve", "consume", "produce", "worker"):
        lines = re.findall("the collector does not take spans|spans could not be exported", processes.log(name))
        assert 1 <= len(lines) <= 3, f"{name}: {len(lines)} lines"


def main():
    receiver = collector.Collector()
    own = settings(receiver.url)
    sql("postgres", f"CREATE DATABASE {DATABASE}")
    processes = Processes(own)
    try:
        start(processes)
        review = send_webhook(own, 1)
        until("the review is completed, and its pull request knows it", lambda: completed(review))
        until("all spans are exported", lambda: {"report", "callback", "feedback", "run"} <= {span.name for span in receiver.spans})
        time.sleep(3)  # The interval of an export: what has ended is here.
        assert not receiver.faults, receiver.faults
        spans = check(receiver.spans, review, receiver.bodies)
        if "--draw" in sys.argv:
            PICTURE.write_text(draw.picture(spans))
            say(f"drawn: {PICTURE}")
        receiver.stop()
        check_without_collector(processes, 2)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"HTTP {error.code}: {error.read().decode()}") from error
    finally:
        processes.kill()


main()

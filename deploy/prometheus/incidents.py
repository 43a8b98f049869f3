"""incidents.py [NAME...]: stages incidents, one after another, on a Baton that is busy and well before each of them.

Of each, three have to name the cause: the first problem of the dashboard, the first finding of `baton queue`, and the first message that
Alertmanager sends, with the routes and inhibitions of alertmanager.yml. Run by deploy/prometheus/fire-alerts once the servers are up.
What each of the three said is in .local/try/incidents.
"""
import html
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import yaml

from stage import (
    BATON, LOGS, SCRATCH, LimitedGitHub, Processes, Prometheus, Proxy, broker_user, publish_rubbish, rules, server, settings, submit,
)
from harness import free_port, say, sql, until  # `stage` says where that is

DATABASE = "incidents"
REPORT = LOGS / "incidents"
# The owner whose runs do not end.
ENDLESS = "endless"
# Times are a tenth of the real ones, in `for`, windows and thresholds, so that the order in which alerts fire stays what it is.
SCALE = 10
# Half an hour is too long, even so.
FOR = {"BatonOwnersFull": "10s"}
SHORTENED = {
    "BatonQueueDeep": [("> 800", "> 80")],
    "BatonPendingOld": [("> 120", "> 12")],
    "BatonQueuedOld": [("> 600", "> 60")],
    "BatonReaperLate": [("> 300", "> 30")],
    "BatonFailureRatio": [("[30m]", "[3m]")],
    "BatonPublishFailing": [("[5m]", "[30s]")],
    "BatonCircuitOpen": [("[1m]", "[10s]")],
    "BatonWorkerAway": [("[1m]", "[10s]")],
    "BatonWebhooksOld": [("> 1800", "> 180")],
}
UNITS = {"s": 1, "m": 60, "h": 3600}


def shortened(rule):
    seconds = int(rule["for"][:-1]) * UNITS[rule["for"][-1]]
    rule["for"] = FOR.get(rule["alert"], f"{max(1, seconds // SCALE)}s")
    for old, new in SHORTENED.get(rule["alert"], []):
        assert old in rule["expr"], f"{rule['alert']} has no {old!r}: see SHORTENED in incidents.py"
        rule["expr"] = rule["expr"].replace(old, new)


class Alertmanager:
    """The example's routes and inhibitions, with us as the one on call."""

    def __init__(self, processes):
        self.port, self.messages = free_port(), []
        messages = self.messages

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                messages.extend(alert for alert in message["alerts"] if alert["status"] == "firing")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        configuration = yaml.safe_load(pathlib.Path("deploy/prometheus/alertmanager.yml").read_text())
        for route in (configuration["route"], *configuration["route"]["routes"]):
            route.update(group_wait="1s", group_interval="1s")
        for each in configuration["receivers"]:
            for webhook in each.get("webhook_configs", []):
                webhook["url"] = f"http://127.0.0.1:{receiver.server_port}/"
        folder = SCRATCH / "alertmanager"
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(configuration))
        processes.start("alertmanager", "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
                        f"--storage.path={folder}", f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=")


class System:
    """All roles, two consumers, a worker whose runs end at once, and a proxy before each server that incidents need slow or silent."""

    def __init__(self, processes):
        self.processes = processes
        self.ports = {name: free_port() for name in ("serve", "produce", "consume-1", "consume-2", "reap")}
        worker_port = free_port()
        self.worker, self.postgres = Proxy(worker_port), Proxy(int(os.environ["PG_PORT"]))
        self.github = LimitedGitHub()
        self.direct = os.environ["BATON_DATABASE_URL"]
        os.environ.update(
            BATON_DATABASE_URL=self.direct.replace(f":{os.environ['PG_PORT']}/", f":{self.postgres.port}/"),
            BATON_WORKER_URL=f"http://127.0.0.1:{self.worker.port}", BATON_GITHUB_API_URL=self.github.url,
            BATON_CALLBACK_URL=f"http://127.0.0.1:{self.ports['serve']}", BATON_API_TOKEN="operator-" + "0" * 16,
            BATON_OWNER_LIMIT="1000", BATON_WORKER_TIMEOUT="2s")
        agent = SCRATCH / "agent"
        agent.write_text(f"#!/bin/sh\nif grep -q {ENDLESS}; then sleep 600; fi\n")
        agent.chmod(0o755)
        processes.start("worker", BATON, "worker", "--port", str(worker_port), "--concurrency", "20", BATON_AGENT_COMMAND=str(agent))
        for role in self.ports:
            self.start(role)
        self.alertmanager = Alertmanager(processes)
        staged = rules(shortened)
        # Those of the objective look back for hours and days, and so at the incidents before.
        for group in staged["groups"]:
            group["rules"] = [rule for rule in group["rules"] if not rule.get("alert", "").startswith("BatonSLO")]
        self.prometheus = Prometheus(processes, "prometheus-incidents", staged, self.ports, scrape="5s",
                                     alertmanager=self.alertmanager.port)

    def start(self, role):
        words = [role.split("-")[0]] + (["--interval", "1s"] if role == "reap" else [])
        port = "BATON_HTTP_PORT" if role == "serve" else "BATON_METRICS_PORT"
        self.processes.start(role, BATON, *words, **{port: str(self.ports[role])})

    def page(self):
        """The problems of the dashboard, the worst first, as text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['serve']}/",
                                         headers={"Authorization": f"Bearer {os.environ['BATON_API_TOKEN']}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as fault:
            text = fault.read().decode()
        except OSError as fault:
            return [f"No page: {fault}"]
        problems = re.search(r'<ul class="problems">(.*?)</ul>', text, re.S)
        shown = problems[1] if problems else re.search(r"<main.*?</main>|<body.*", text, re.S)[0]
        return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", item)).split()) for item in re.split(r"</li>", shown) if item.strip()]

    def queue(self):
        answer = subprocess.run([BATON, "queue"], capture_output=True, text=True)
        return answer.stdout + answer.stderr

    def complaints(self):
        """What the three say now; nothing if all is well."""
        alerts = {row["metric"]["alertname"] for row in self.prometheus.query('ALERTS{alertname=~"Baton.+"}')}
        page = [problem for problem in self.page() if not problem.startswith("Note")]
        return [*alerts, *page, *re.findall("(?:STUCK|LOOK).*", self.queue())]

    def become_well(self):
        deadline = time.monotonic() + 150
        while complaints := self.complaints():
            if time.monotonic() > deadline:
                raise SystemExit(f"Baton is not well between incidents: {complaints}")
            time.sleep(1)


class Incident:
    """`cause` is a pattern that all three have to match; `alerts` the ones of which the first message may be."""
    cause, alerts, reviews = "", (), 20

    def begin(self, system):
        raise NotImplementedError

    def end(self, system):
        raise NotImplementedError


class WorkerRefused(Incident):
    cause, alerts = "worker", ("BatonWorkerAway", "BatonCircuitOpen")

    def begin(self, system):
        system.worker.refuse()

    def end(self, system):
        system.worker.listen()


class WorkerHung(Incident):
    cause, alerts = "worker", ("BatonWorkerAway", "BatonCircuitOpen")

    def begin(self, system):
        system.worker.is_silent = True

    def end(self, system):
        system.worker.is_silent = False


class BrokerAlarm(Incident):
    cause, alerts = "broker takes no messages", ("BatonBrokerBlocked",)

    def begin(self, system):
        server("ctl", "set_vm_memory_high_watermark", "0.000001")

    def end(self, system):
        server("ctl", "set_vm_memory_high_watermark", "0.4")


class BrokerAway(Incident):
    cause, alerts = "broker", ("BatonBrokerAway",)

    def begin(self, system):
        server("stop", BROKER_ONLY="1")

    def end(self, system):
        server("start", BROKER_ONLY="1")


class PostgresSlow(Incident):
    cause, alerts = "Postgres is slow", ("BatonPostgresSlow",)

    def begin(self, system):
        system.postgres.delay = 0.3

    def end(self, system):
        system.postgres.delay = 0


class PostgresReadOnly(Incident):
    """As after a failover that left the primary's address with a standby."""
    cause, alerts, reviews = "reach Postgres|no connection to Postgres|Postgres cannot be reached", ("BatonPostgresAway",), 0

    def turn(self, change):
        data = pathlib.Path(os.environ["TRY_SERVERS"])
        signal_file = next(data.rglob("PG_VERSION")).parent / "standby.signal"
        server("stop", PG_ONLY="1")
        change(signal_file)
        server("start", PG_ONLY="1")

    def begin(self, system):
        self.turn(lambda file: file.touch())

    def end(self, system):
        self.turn(lambda file: file.unlink())


class ReaperGone(Incident):
    cause, alerts = "[Rr]eaper", ("BatonReaperLate",)

    def begin(self, system):
        system.processes.stop("reap")
        # As if five minutes ago: the dashboard's time is not shortened.
        sql(DATABASE, "UPDATE baton_reaper SET last_run_at = now() - interval '6 minutes'")

    def end(self, system):
        system.start("reap")


class ProducerGone(Incident):
    cause, alerts = "produce", ("BatonPendingOld",)

    def begin(self, system):
        system.processes.stop("produce")

    def end(self, system):
        system.start("produce")


class ConsumerDead(Incident):
    cause, alerts = "consume", ("BatonTargetDown",)

    def begin(self, system):
        system.processes.kill("consume-2")

    def end(self, system):
        system.start("consume-2")


class OwnerFlood(Incident):
    """Of an owner whose limit is 1, and whose run does not end."""
    cause, alerts, reviews = "owner", ("BatonOwnersFull",), 0

    def begin(self, system):
        sql(DATABASE, f"INSERT INTO review_owners (owner_type, owner_id, max_concurrent) VALUES ('org', '{ENDLESS}', 1)")
        submit(DATABASE, 600, ENDLESS)

    def end(self, system):
        for status in ("queued", "running", "pending"):
            subprocess.run([BATON, "cancel", "--owner", f"org:{ENDLESS}", "--status", status, "--yes"], check=True, stdout=subprocess.DEVNULL)


class Poison(Incident):
    cause, alerts, reviews = "dead letter", ("BatonDeadLetters",), 0

    def begin(self, system):
        publish_rubbish()

    def end(self, system):
        subprocess.run([BATON, "dead", "purge", "--yes"], check=True, stdout=subprocess.DEVNULL)


class GitHubLimited(Incident):
    cause, alerts = "limits the rate", ("BatonRateLimited",)

    def begin(self, system):
        # Until it is over by itself: a consumer keeps to the time that it was given.
        system.github.limited_until = time.time() + 100

    def end(self, system):
        time.sleep(max(0, system.github.limited_until + 1 - time.time()))
        sql(DATABASE, "UPDATE code_reviews SET available_at = now() WHERE status = 'pending'")


INCIDENTS = {
    "worker-refused": WorkerRefused, "worker-hung": WorkerHung, "broker-alarm": BrokerAlarm, "broker-away": BrokerAway,
    "postgres-slow": PostgresSlow, "postgres-read-only": PostgresReadOnly, "reaper-gone": ReaperGone,
    "producer-gone": ProducerGone, "consumer-dead": ConsumerDead, "owner-flood": OwnerFlood, "poison": Poison,
    "github-limited": GitHubLimited,
}


def text_of(alert):
    return f"{alert['labels']['alertname']}: {alert['annotations']['summary']} {alert['annotations']['description']}"


def stage(system, name, incident):
    """Returns what is wrong with what the three said."""
    system.become_well()
    system.alertmanager.messages.clear()
    incident.begin(system)
    if incident.reviews:
        submit(DATABASE, incident.reviews, f"{name}-{time.time_ns()}")
    began, faults = time.monotonic(), []
    try:
        until("an alert", lambda: system.alertmanager.messages, 150)
        alert = system.alertmanager.messages[0]
        message, seconds = text_of(alert), int(time.monotonic() - began)
        if alert["labels"]["alertname"] not in incident.alerts or not re.search(incident.cause, message):
            faults.append("the first alert")
    except SystemExit:
        message, seconds = "none", 150
        faults.append("no alert")
    page, queue = [], ""

    def names(lines):
        return bool(lines) and bool(re.search(incident.cause, lines[0]))

    def findings(text):
        return re.findall(r"(?:STUCK|LOOK).*(?:\n  .*)*", text) or [text]

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (names(page) and names(findings(queue))):
        page, queue = system.page(), system.queue()
        time.sleep(0.5)
    faults += [] if names(page) else ["the dashboard"]
    faults += [] if names(findings(queue)) else ["baton queue"]
    (REPORT / f"{name}.txt").write_text(
        f"alerts, the first after {seconds} s (a tenth of the real time):\n" + "\n".join(map(text_of, system.alertmanager.messages))
        + "\n\ndashboard:\n" + "\n".join(page) + "\n\nbaton queue:\n" + queue)
    say(f"{name}: {message.split(':')[0]} after {seconds} s; {page[0] if page else 'no page'}" if not faults else f"{name}: NOT named by {faults}")
    incident.end(system)
    return [f"{name}: {fault} does not name the cause" for fault in faults]


def incidents(processes, names):
    system = System(processes)
    faults = [fault for name in names for fault in stage(system, name, INCIDENTS[name]())]
    if faults:
        raise SystemExit("\n".join(faults + [f"what they said: {REPORT}"]))


def main():
    names = sys.argv[1:] or list(INCIDENTS)
    if unknown := set(names) - INCIDENTS.keys():
        raise SystemExit(f"no incident is called {', '.join(sorted(unknown))}; there are {', '.join(INCIDENTS)}")
    REPORT.mkdir(exist_ok=True)
    processes = Processes()
    try:
        settings(DATABASE, broker_user())
        # Of an earlier run: the queue of dead letters is that of the whole virtual host.
        subprocess.run([BATON, "dead", "purge", "--yes"], check=True, capture_output=True)
        incidents(processes, names)
    finally:
        processes.end()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()

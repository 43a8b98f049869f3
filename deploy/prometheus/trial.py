"""What deploy/prometheus/fire-alerts does once the servers are up. Its order is that of main()."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from stage import BATON, LimitedGitHub, Processes, Prometheus, broker_user, get, publish_rubbish, rules, server, settings, submit, worker_in
from harness import free_port, say, sql, until  # `stage` says where that is

sys.path.insert(0, "deploy/schemas")
import outputs  # noqa: E402

DASHBOARD = pathlib.Path("deploy/grafana/baton.json")

# What replaces what in an alert's expression, so that it fires after seconds. `for` becomes 2s everywhere.
SHORTENED = {
    "BatonQueueDeep": [("> 800", "> 10")],
    "BatonPendingOld": [("> 120", "> 3")],
    "BatonQueuedOld": [("> 600", "> 3")],
    "BatonReaperLate": [("> 300", "> 5")],
    "BatonFailureRatio": [("[30m]", "[40s]")],
    "BatonRunningStuck": [("> 4500", "> 4")],
    "BatonOwnersFull": [("> 500", "> 10")],
    "BatonPublishFailing": [("[5m]", "[30s]")],
    "BatonPostgresSlow": [("> 0.25", "> 0.00001")],
    "BatonSLOFastBurn": [("> 14.4 * 0.05", "> 0"), ("> 6 * 0.05", "> 0")],
    "BatonSLOSlowBurn": [("> 3 * 0.05", "> 0"), ("> 0.05", "> 0")],
}


def at_once(rule):
    rule["for"] = "0s"


def shortened(rule):
    rule["for"] = "2s"
    for old, new in SHORTENED.get(rule["alert"], []):
        assert old in rule["expr"], f"{rule['alert']} has no {old!r}: see SHORTENED in trial.py"
        rule["expr"] = rule["expr"].replace(old, new)


def check_dashboard(prometheus):
    """Every query of the dashboard gives at least one series."""
    count = 0
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*")
            if not prometheus.query(expression):
                raise SystemExit(f"{panel['title']}: no result for {expression}")
            count += 1
    say(f"{count} queries of the dashboard give results")


def check_metrics(name, port):
    """promtool finds nothing to complain about in what a process shows."""
    answer = subprocess.run(
        ["promtool", "check", "metrics"], input=get(f"http://127.0.0.1:{port}/metrics"), text=True, capture_output=True)
    if answer.returncode or answer.stderr:
        raise SystemExit(f"promtool check metrics, {name}: {answer.stdout}{answer.stderr}")
    say(f"promtool check metrics: {name} is fine")


def check_outputs(worker):
    """Each command prints JSON as its schema says."""
    report = subprocess.run([BATON, "submit", "--sandbox", "4", "--owners", "2", "--wait", "--json"], check=True, capture_output=True, text=True)
    publish_rubbish()
    until("there is a dead letter", lambda: '"reason"' in subprocess.run([BATON, "dead", "list", "--json"], capture_output=True, text=True).stdout)
    if found := outputs.check(BATON, report.stdout, worker):
        raise SystemExit("\n".join(found))
    subprocess.run([BATON, "dead", "purge", "--yes"], check=True, capture_output=True)
    say("every command prints JSON as deploy/schemas says")


def healthy(processes):
    """A healthy run: all roles under load, and no condition that holds even once."""
    port = free_port()
    processes.start("up", BATON, "up", "--sandbox", BATON_HTTP_PORT=str(port))
    until("Baton is ready", lambda: get(f"http://127.0.0.1:{port}/readyz"))
    until("the reaper has passed", lambda: "baton_reaper_last_run" in get(f"http://127.0.0.1:{port}/metrics"))
    until("the consumer is connected", lambda: "\nbaton_queue_consumers 1" in get(f"http://127.0.0.1:{port}/metrics"))
    prometheus = Prometheus(processes, "prometheus-healthy", rules(at_once), {"up": port}, scrape="1s")
    until("Prometheus has looked", lambda: prometheus.query("up == 1"))
    began = time.monotonic()
    for _ in range(3):
        subprocess.run([BATON, "submit", "--sandbox", "60", "--owners", "6", "--wait"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    time.sleep(5)
    window = int(time.monotonic() - began)
    if ever := prometheus.query(f"count by (alertname) (count_over_time(ALERTS[{window}s]))"):
        raise SystemExit(f"fired in a healthy run: {[row['metric']['alertname'] for row in ever]}")
    say("healthy: 180 reviews, no alert's condition held even once")
    if (counted := prometheus.query("sum(baton_dispatch_delay_seconds_count)"))[0]["value"][1] != "180":
        raise SystemExit(f"180 reviews were dispatched, and counted as {counted}")
    check_dashboard(prometheus)
    check_metrics("up", port)
    check_outputs(worker_in(processes.running["up"].pid))
    prometheus.stop()
    processes.stop("up")


class Faults:
    """One fault after another; each of `alerts` has to fire, and those not named yet may."""

    def __init__(self, processes):
        self.processes, self.seen, self.number = processes, set(), 0
        self.ports = {name: free_port() for name in ("serve", "produce", "consume", "reap")}
        # Long enough for a process that waits three seconds for a server that is unreachable.
        self.prometheus = Prometheus(processes, "prometheus-faults", rules(shortened), self.ports, scrape="5s")

    def expect(self, fault, *alerts):
        for alert in alerts:
            until(f"{alert} fires ({fault})", lambda: alert in self.prometheus.firing())
            self.seen.add(alert)
        say(f"{fault}: {', '.join(alerts)}")

    def quiet(self, *alerts):
        for alert in alerts:
            until(f"{alert} ends", lambda: alert not in self.prometheus.firing())

    def start(self, name, *arguments, **environment):
        if name == "serve":
            environment |= {"BATON_HTTP_PORT": str(self.ports[name])}
        else:
            environment |= {"BATON_METRICS_PORT": str(self.ports[name])}
        self.processes.start(name, BATON, name, *arguments, **environment)
        until(f"{name} answers", lambda: get(f"http://127.0.0.1:{self.ports[name]}/livez"))

    def stop(self, *names):
        self.processes.stop(*names)


def faults(processes):
    os.environ["BATON_OWNER_LIMIT"] = "1000"
    worker_port = free_port()
    github = LimitedGitHub(seconds=2)
    os.environ["BATON_WORKER_URL"] = f"http://127.0.0.1:{worker_port}"
    f = Faults(processes)
    os.environ["BATON_CALLBACK_URL"] = f"http://127.0.0.1:{f.ports['serve']}"
    f.start("serve")
    f.expect("only serve runs", "BatonReaperNeverRan", "BatonNoConsumers", "BatonTargetDown", "BatonPostgresSlow")
    check_metrics("serve", f.ports["serve"])
    submit("faults", 60, "acme")
    f.expect("no producer", "BatonPendingOld")
    f.start("produce")
    f.expect("no consumer", "BatonQueueDeep", "BatonQueuedOld", "BatonNothingDispatched")
    f.quiet("BatonPendingOld")
    f.expect("reviews have waited for more than a minute", "BatonSLOFastBurn", "BatonSLOSlowBurn")
    check_metrics("produce", f.ports["produce"])
    f.start("reap", "--interval", "1s")
    f.quiet("BatonReaperNeverRan")
    check_metrics("reap", f.ports["reap"])
    f.stop("reap")
    f.expect("the reaper is stopped", "BatonReaperLate")
    subprocess.run([BATON, "reap"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    f.quiet("BatonReaperLate")
    say("a reaper run as by cron ends BatonReaperLate")
    f.start("consume", BATON_GITHUB_API_URL=f"http://127.0.0.1:{free_port()}")
    f.expect("GitHub refuses connections", "BatonCircuitOpen")
    f.quiet("BatonNoConsumers")
    f.stop("consume")
    sql("faults", "UPDATE code_reviews SET available_at = now() WHERE status = 'pending'")
    f.start("consume", BATON_GITHUB_API_URL=github.url)
    f.expect("the worker refuses connections", "BatonWorkerAway")
    f.stop("consume")
    f.start("reap", "--interval", "1s")
    processes.start("worker", BATON, "worker", "--port", str(worker_port), "--concurrency", "100", BATON_AGENT_COMMAND="sleep 600")
    sql("faults", "UPDATE code_reviews SET available_at = now() WHERE status = 'pending'")
    f.start("consume", "--prefetch", "2", BATON_GITHUB_API_URL=github.url)
    f.expect("one small consumer, slow GitHub, agents that do not end", "BatonConsumersFull", "BatonRunningStuck")
    f.stop("consume")
    sql("faults", "UPDATE review_owners SET max_concurrent = 1 WHERE owner_id = 'acme'")
    submit("faults", 30, "acme")
    f.expect("an owner at its limit", "BatonOwnersFull")
    f.start("consume", BATON_GITHUB_API_URL=github.url)
    check_metrics("consume", f.ports["consume"])
    submit("faults", 60, "nobody", configured=False)
    f.expect("an owner without configuration", "BatonFailureRatio")
    sql("faults", "INSERT INTO baton_feedback (review_id, subject, due_at, given_up_at) SELECT id, 'gate', NULL, now() FROM code_reviews LIMIT 1")
    f.expect("a check that was given up", "BatonFeedbackGivenUp")
    sql("faults", "INSERT INTO baton_feedback (review_id, subject, due_at, due_since, last_error)"
                  " SELECT id, 'eyes', now() + interval '1 hour', now() - interval '2 hours', 'BATON_GITHUB_APP_ID is not set'"
                  " FROM code_reviews LIMIT 1")
    f.expect("a reaction that waits for the operator", "BatonFeedbackOld")
    sql("faults", "INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, due_at)"
                  " VALUES ('github', 'old', 'pull_request', '{}', now() - interval '2 hours', 'infinity')")
    f.expect("a webhook that is not processed", "BatonWebhooksOld")
    sql("faults", "INSERT INTO baton_counts AS c (what, label, count) VALUES ('webhook', 'given_up', 1), ('outbox', 'given_up', 1)"
                  " ON CONFLICT (what, label, shard) DO UPDATE SET count = c.count + 1")
    f.expect("a webhook and a cancel that were given up", "BatonWebhooksGivenUp", "BatonCancelsGivenUp")
    f.stop("serve")
    f.start("serve", BATON_ENCRYPTION_KEY="")  # what opens the endpoints' secrets
    sql("faults", "INSERT INTO baton_endpoints (url, secret_ciphertext) VALUES ('http://127.0.0.1:9/old', '')")
    sql("faults", "INSERT INTO baton_events (endpoint_id, review_id, payload, due_at)"
                  " SELECT e.id, r.id, '{}', now() - interval '2 hours'"
                  " FROM baton_endpoints e, (SELECT id FROM code_reviews LIMIT 1) r")
    f.expect("an event that no server sends", "BatonEventsOld")
    f.stop("serve")
    f.start("serve")
    sql("faults", "INSERT INTO baton_endpoints (url, secret_ciphertext, failures, failing_since)"
                  " VALUES ('http://127.0.0.1:9/', '', 5, now())")
    sql("faults", "INSERT INTO baton_events (endpoint_id, review_id, payload, due_at, given_up_at)"
                  " SELECT e.id, r.id, '{}', NULL, now()"
                  " FROM baton_endpoints e, (SELECT id FROM code_reviews LIMIT 1) r")
    f.expect("an endpoint that does not accept events", "BatonEndpointFailing", "BatonEventsGivenUp")
    github.limited_until = time.time() + 60
    submit("faults", 5, "other")
    f.expect("GitHub limits the rate", "BatonRateLimited")
    publish_rubbish()
    f.expect("a message that is no ticket", "BatonDeadLetters")
    f.stop("consume")
    server("ctl", "set_policy", "full", "^baton.faults$", '{"max-length": 1, "overflow": "reject-publish"}')
    submit("faults", 60, "other")
    f.expect("a broker that takes no more", "BatonPublishFailing")
    server("ctl", "clear_policy", "full")
    server("ctl", "set_vm_memory_high_watermark", "0.000001")
    submit("faults", 60, "another")
    f.expect("a broker with a memory alarm", "BatonBrokerBlocked")
    server("ctl", "set_vm_memory_high_watermark", "0.4")
    server("stop", BROKER_ONLY="1")
    f.expect("no broker", "BatonBrokerAway")
    server("start", BROKER_ONLY="1")
    f.quiet("BatonBrokerAway")
    server("stop", PG_ONLY="1")
    f.expect("no Postgres", "BatonPostgresAway")
    server("start", PG_ONLY="1")
    f.quiet("BatonPostgresAway")
    processes.stop("serve", "produce", "reap", "worker")
    f.expect("nothing runs", "BatonUnseen")
    named = {rule["alert"] for group in rules(lambda rule: None)["groups"] for rule in group["rules"] if "alert" in rule}
    if missing := named - f.seen:
        raise SystemExit(f"never fired: {', '.join(sorted(missing))}")


def main():
    processes = Processes()
    try:
        amqp = broker_user()
        settings("healthy", amqp)
        healthy(processes)
        settings("faults", amqp)
        faults(processes)
    finally:
        processes.end()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()

"""What deploy/prometheus/fire-alerts does once the servers are up. Its order is that of main()."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, "deploy/bench/driver")
import standin  # noqa: E402

RULES = pathlib.Path("deploy/prometheus/baton.rules.yaml")
DASHBOARD = pathlib.Path("deploy/grafana/baton.json")
PERMISSIONS = pathlib.Path("deploy/kubernetes/components/rabbitmq/user.yaml")
LOGS = pathlib.Path(".local/try")
SCRATCH = pathlib.Path(os.environ["TRY_DIRECTORY"])
BATON = os.environ["BATON"]

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
}


def say(text):
    print(f"    {text}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, check, seconds=90):
    """Waits until check() gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := check():
                return answer
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.25)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def sql(database, text):
    url = os.environ["PG_URL"].rsplit("/", 1)[0] + "/" + database
    subprocess.run(["psql", "-Xqd", url, "-v", "ON_ERROR_STOP=1", "-c", text], check=True)


def server(command, *arguments, **only):
    """The script that runs the private servers: `server("stop", PG_ONLY="1")`."""
    subprocess.run(
        ["deploy/local/servers", command, os.environ["TRY_SERVERS"], os.environ["AMQP_PORT"], os.environ["PG_PORT"], *arguments],
        check=True, env={**os.environ, **only}, stdout=subprocess.DEVNULL)


class Processes:
    """Everything that runs, by name; each logs to a file of its own."""

    def __init__(self):
        self.running = {}

    def start(self, name, *command, **environment):
        with open(LOGS / f"{name}.log", "a") as log:
            self.running[name] = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)

    def stop(self, *names):
        for name in names:
            self.running[name].send_signal(signal.SIGTERM)
        for name in names:
            process = self.running.pop(name)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()

    def end(self):
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()


class Prometheus:
    """A Prometheus of our own, evaluating every second."""

    def __init__(self, processes, name, rules, ports, scrape):
        self.name, self.processes, self.port = name, processes, free_port()
        directory = SCRATCH / name
        directory.mkdir()
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        (directory / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "baton", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}],
        }))
        processes.start(
            name, "prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}")
        until("Prometheus answers", lambda: self.query("vector(1)"))

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        return json.loads(get(url))["data"]["result"]

    def firing(self):
        return {row["metric"]["alertname"] for row in self.query('ALERTS{alertstate="firing"}')}

    def stop(self):
        self.processes.stop(self.name)


def rules(change):
    """The rule file, with change(rule) applied to each alert."""
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            change(rule)
    return document


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


def broker_user():
    """The user of deploy/kubernetes, with its rights."""
    permission = next(d for d in yaml.safe_load_all(PERMISSIONS.read_text()) if d["kind"] == "Permission")["spec"]["permissions"]
    server("ctl", "add_user", "baton", "secret")
    server("ctl", "set_permissions", "-p", "/", "baton", *[permission[key] for key in ("configure", "write", "read")])
    return f"amqp://baton:secret@127.0.0.1:{os.environ['AMQP_PORT']}/"


def settings(database, amqp):
    sql("postgres", f"CREATE DATABASE {database}")
    os.environ.update(
        BATON_DATABASE_URL=os.environ["PG_URL"].rsplit("/", 1)[0] + "/" + database, BATON_AMQP_URL=amqp,
        BATON_QUEUE=f"baton.{database}", BATON_WORKER_TOKEN="token", BATON_CALLBACK_SECRET="secret",
        BATON_ENCRYPTION_KEY=base64.b64encode(os.urandom(32)).decode(), BATON_WORKER_STATE=str(SCRATCH / f"{database}.sqlite"))
    subprocess.run([BATON, "migrate"], check=True, stderr=subprocess.DEVNULL)


def healthy(processes):
    """A healthy run: all roles under load, and no condition that holds even once."""
    port = free_port()
    processes.start("up", BATON, "up", "--sandbox", BATON_HTTP_PORT=str(port))
    until("Baton is ready", lambda: get(f"http://127.0.0.1:{port}/readyz"))
    until("the reaper has passed", lambda: "baton_reaper_last_run" in get(f"http://127.0.0.1:{port}/metrics"))
    until("the consumer is connected", lambda: "\nbaton_queue_consumers 1" in get(f"http://127.0.0.1:{port}/metrics"))
    prometheus = Prometheus(processes, "prometheus-healthy", rules(at_once), [port], scrape="1s")
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
    check_dashboard(prometheus)
    check_metrics("up", port)
    prometheus.stop()
    processes.stop("up")


class Faults:
    """One fault after another; each of `alerts` has to fire, and those not named yet may."""

    def __init__(self, processes):
        self.processes, self.seen, self.number = processes, set(), 0
        self.ports = {name: free_port() for name in ("serve", "produce", "consume", "reap")}
        # Long enough for a process that waits three seconds for a server that is unreachable.
        self.prometheus = Prometheus(processes, "prometheus-faults", rules(shortened), self.ports.values(), scrape="5s")

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

    def submit(self, count, owner, configured=True):
        if configured:
            sql("faults", f"INSERT INTO agent_configs (owner_type, owner_id, platform) VALUES ('org', '{owner}', 'github') ON CONFLICT DO NOTHING")
        sql("faults", f"""
            INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                      base_ref, head_ref, head_sha)
            SELECT 'org', '{owner}', 'github', 'acme/shop', g, 'https://github.com/acme/shop/pull/' || g, 'Title', 'ann', 'main',
                   'feature', md5(random()::text)
              FROM generate_series(1, {count}) g""")

    def publish_rubbish(self):
        url = os.environ["MGMT_URL"]
        user, _, host = url.removeprefix("http://").partition("@")
        request = urllib.request.Request(
            f"http://{host.rstrip('/')}/api/exchanges/%2F/baton/publish", method="POST",
            data=json.dumps({"properties": {}, "routing_key": os.environ["BATON_QUEUE"], "payload": "rubbish",
                             "payload_encoding": "string"}).encode(),
            headers={"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(user.encode()).decode()})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["routed"]


def faults(processes):
    os.environ["BATON_OWNER_LIMIT"] = "1000"
    worker_port = free_port()
    github = standin.SlowGitHub(lambda number: 2)
    os.environ["BATON_WORKER_URL"] = f"http://127.0.0.1:{worker_port}"
    f = Faults(processes)
    os.environ["BATON_CALLBACK_URL"] = f"http://127.0.0.1:{f.ports['serve']}"
    f.start("serve")
    f.expect("only serve runs", "BatonReaperNeverRan", "BatonNoConsumers", "BatonTargetDown", "BatonPostgresSlow")
    check_metrics("serve", f.ports["serve"])
    f.submit(60, "acme")
    f.expect("no producer", "BatonPendingOld")
    f.start("produce")
    f.expect("no consumer", "BatonQueueDeep", "BatonQueuedOld", "BatonNothingDispatched")
    f.quiet("BatonPendingOld")
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
    f.start("reap", "--interval", "1s")
    processes.start("worker", BATON, "worker", "--port", str(worker_port), "--concurrency", "100", BATON_AGENT_COMMAND="sleep 600")
    sql("faults", "UPDATE code_reviews SET available_at = now() WHERE status = 'pending'")
    f.start("consume", "--prefetch", "2", BATON_GITHUB_API_URL=github.url)
    f.expect("one small consumer, slow GitHub, agents that do not end", "BatonConsumersFull", "BatonRunningStuck")
    f.stop("consume")
    sql("faults", "UPDATE review_owners SET max_concurrent = 1 WHERE owner_id = 'acme'")
    f.submit(30, "acme")
    f.expect("an owner at its limit", "BatonOwnersFull")
    f.start("consume", BATON_GITHUB_API_URL=github.url)
    check_metrics("consume", f.ports["consume"])
    f.submit(60, "nobody", configured=False)
    f.expect("an owner without configuration", "BatonFailureRatio")
    f.publish_rubbish()
    f.expect("a message that is no ticket", "BatonDeadLetters")
    f.stop("consume")
    server("ctl", "set_policy", "full", "^baton.faults$", '{"max-length": 1, "overflow": "reject-publish"}')
    f.submit(60, "other")
    f.expect("a broker that takes no more", "BatonPublishFailing")
    server("ctl", "clear_policy", "full")
    server("ctl", "set_vm_memory_high_watermark", "0.000001")
    f.submit(60, "another")
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
    if missing := {rule["alert"] for rule in rules(lambda rule: None)["groups"][0]["rules"]} - f.seen:
        raise SystemExit(f"never fired: {', '.join(sorted(missing))}")


def main():
    processes = Processes()
    for old in LOGS.glob("*.log"):
        old.unlink()
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

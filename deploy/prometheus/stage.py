"""What trial.py and incidents.py share: processes, a Prometheus, the private servers, reviews."""
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import yaml

sys.path += ["deploy/bench/driver", "deploy/local"]
import standin  # noqa: E402
from harness import database_url, free_port, sql, until  # noqa: E402

RULES = pathlib.Path("deploy/prometheus/baton.rules.yaml")
PERMISSIONS = pathlib.Path("deploy/kubernetes/components/rabbitmq/user.yaml")
LOGS = pathlib.Path(".local/try")
SCRATCH = pathlib.Path(os.environ["TRY_DIRECTORY"])
BATON = os.environ["BATON"]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def server(command, *arguments, is_quiet=False, **only):
    """The script that runs the private servers: `server("stop", PG_ONLY="1")`. `is_quiet` where a failure is expected."""
    subprocess.run(
        ["deploy/local/servers", command, os.environ["TRY_SERVERS"], os.environ["AMQP_PORT"], os.environ["PG_PORT"], *arguments],
        check=True, env={**os.environ, **only}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if is_quiet else None)


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

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def end(self):
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()


class Prometheus:
    """A Prometheus of our own, evaluating every second."""

    def __init__(self, processes, name, rules, ports, scrape, alertmanager=None):
        self.name, self.processes, self.port = name, processes, free_port()
        directory = SCRATCH / name
        directory.mkdir()
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        (directory / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}] if alertmanager else []},
            "scrape_configs": [{"job_name": "baton", "static_configs": [
                {"targets": [f"127.0.0.1:{port}"], "labels": {"role": role}} for role, port in ports.items()]}],
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
    """The rule file, with change(rule) applied to each alert; recording rules stay as they are."""
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                change(rule)
    return document


def broker_user():
    """The user of deploy/kubernetes, with its rights."""
    permission = next(d for d in yaml.safe_load_all(PERMISSIONS.read_text()) if d["kind"] == "Permission")["spec"]["permissions"]
    try:
        server("ctl", "add_user", "baton", "secret", is_quiet=True)
    except subprocess.CalledProcessError:
        pass  # It is there already.
    server("ctl", "set_permissions", "-p", "/", "baton", *[permission[key] for key in ("configure", "write", "read")])
    return f"amqp://baton:secret@127.0.0.1:{os.environ['AMQP_PORT']}/"


def worker_in(pid):
    """The address of the worker that runs in this process, on a port that it has chosen itself."""
    inodes = {os.readlink(file) for file in pathlib.Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] != "0A" or f"socket:[{fields[9]}]" not in inodes:  # 0A: it listens
            continue
        url = f"http://127.0.0.1:{int(fields[1].split(':')[1], 16)}"
        try:
            if json.loads(get(f"{url}/health")) == {"status": "ok"}:
                return url
        except (OSError, ValueError):
            pass  # the server, or the stand-in for the platforms
    raise SystemExit(f"no worker listens in process {pid}")


def settings(database, amqp):
    sql("postgres", f"CREATE DATABASE {database}")
    os.environ.update(
        BATON_DATABASE_URL=database_url(database), BATON_AMQP_URL=amqp,
        BATON_QUEUE=f"baton.{database}", BATON_WORKER_TOKEN="token", BATON_CALLBACK_SECRET="secret",
        BATON_ENCRYPTION_KEY=base64.b64encode(os.urandom(32)).decode(), BATON_WORKER_STATE=str(SCRATCH / f"{database}.sqlite"))
    subprocess.run([BATON, "migrate"], check=True, stderr=subprocess.DEVNULL)


def submit(database, count, owner, configured=True):
    """Due reviews of one owner, as an application inserts them."""
    if configured:
        sql(database, f"INSERT INTO agent_configs (owner_type, owner_id, platform) VALUES ('org', '{owner}', 'github') ON CONFLICT DO NOTHING")
    sql(database, f"""
        INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                  base_ref, head_ref, head_sha)
        SELECT 'org', '{owner}', 'github', 'acme/shop', g, 'https://github.com/acme/shop/pull/' || g, 'Title', 'ann', 'main',
               'feature', md5(random()::text)
          FROM generate_series(1, {count}) g""")


def publish_rubbish():
    """A message in the work queue that is no ticket."""
    url = os.environ["MGMT_URL"]
    user, _, host = url.removeprefix("http://").partition("@")
    request = urllib.request.Request(
        f"http://{host.rstrip('/')}/api/exchanges/%2F/baton/publish", method="POST",
        data=json.dumps({"properties": {}, "routing_key": os.environ["BATON_QUEUE"], "payload": "rubbish",
                         "payload_encoding": "string"}).encode(),
        headers={"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(user.encode()).decode()})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["routed"]


class Proxy:
    """Between Baton and a server: passes on, refuses connections, takes them and is silent, or delays each packet."""

    def __init__(self, port):
        self.target, self.port, self.delay, self.is_silent = port, free_port(), 0, False
        self.listener, self.open = None, set()
        self.listen()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # `refuse` has closed it.
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self.open |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                while self.is_silent:
                    time.sleep(0.05)
                time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            self.open.discard(end)
            end.close()

    def refuse(self):
        # A socket that another thread waits on is freed only by shutdown.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in list(self.open):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class LimitedGitHub(standin.SlowGitHub):
    """Answers at once, or that the hour's requests are used up."""

    def __init__(self, seconds=0):
        self.limited_until = 0
        super().__init__(lambda number: seconds)
        github, plain = self, self.RequestHandlerClass.do_GET

        def do_get(handler):
            if github.limited_until < time.time():
                return plain(handler)
            data = b'{"message": "API rate limit exceeded"}'
            handler.send_response(403)
            for name, value in (("x-ratelimit-limit", 5000), ("x-ratelimit-remaining", 0),
                                ("x-ratelimit-reset", int(github.limited_until)), ("Content-Type", "application/json"),
                                ("Content-Length", len(data))):
                handler.send_header(name, str(value))
            handler.end_headers()
            handler.wfile.write(data)
            handler.wfile.flush()

        self.RequestHandlerClass.do_GET = do_get

"""Baton, or what stands in for it, on a fresh database and a fresh virtual host: start, measure, check, stop."""
import base64
import http.client
import itertools
import json
import os
import pathlib
import subprocess
import time

import amqp
import processes
import servers
from harness import free_port

LOG = pathlib.Path(".local/bench.log")
OLD_ROWS = 20000
FIELDS = "owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha"


def command(role):
    return os.environ.get(role, "")


class System:
    numbers = itertools.count(1)

    def __init__(self, nginx, github=servers.URL + "/github", worker=servers.URL):
        self.nginx, self.processes, self.left = nginx, {}, 0
        self.name = f"bench{next(System.numbers)}"
        self.queue = os.environ.get("BATON_QUEUE", "baton.reviews")
        servers.query(f"CREATE DATABASE {self.name}")
        servers.manage("PUT", f"vhosts/{self.name}")
        self.environment = {**self.settings(github, worker), **os.environ}
        if command("SETUP"):
            self.run_foreground(command("SETUP"))
        self.session = servers.Session(self.name)
        self.add_history()
        self.first_post = nginx.post_count()

    def settings(self, github, worker):
        """The contract's settings; what is set outside wins. Nothing but the machine shall limit."""
        key = servers.DIRECTORY / "app.pem"
        if not key.exists():
            subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        return dict(
            BATON_DATABASE_URL=servers.database_url(self.name),
            BATON_AMQP_URL=f"amqp://guest:guest@127.0.0.1:{servers.AMQP_PORT}/{self.name}",
            BATON_QUEUE=self.queue, BATON_WORKER_URL=worker, BATON_WORKER_TOKEN="t",
            BATON_GITHUB_API_URL=github, BATON_GITHUB_APP_ID="1", BATON_GITHUB_PRIVATE_KEY=f"@{key}",
            BATON_OWNER_LIMIT="1000000", BATON_MAX_QUEUE_DEPTH="1000000", BATON_LOG_LEVEL="warning",
            BATON_ENCRYPTION_KEY=base64.b64encode(b"k" * 32).decode(), BATON_CALLBACK_SECRET="s", 
            BATON_API_TOKEN="the-token-of-the-bench",
            BATON_HTTP_PORT=str(free_port()))

    def add_history(self):
        """Rows that ended long ago, and statistics: plans shall be those of a table in use, not of an empty one."""
        query = self.session.query
        query(f"""SET session_replication_role = replica;  -- no trigger: these have not just happened
          INSERT INTO code_reviews ({FIELDS}, status)
          SELECT 'org', 'o' || g % 100, 'github', 'acme/old', g, 'u', 't', 'ann', 'main', 'f', md5(g::text), 'completed'
          FROM generate_series(1, {OLD_ROWS}) g;
          RESET session_replication_role""")
        if query("SELECT to_regclass('platform_integrations')") != [""]:
            query((servers.HERE / "owners.sql").read_text())
        query("VACUUM ANALYZE")
        query("CHECKPOINT")

    # --- processes ---

    def spawn(self, role, name=None):
        """Starts a role's command; `exec`, so that its process id is the role's own."""
        with open(LOG, "a") as log:
            process = subprocess.Popen("exec " + command(role), shell=True, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes[name or role.lower()] = process
        return process

    def run_foreground(self, line):
        with open(LOG, "a") as log:
            if subprocess.run(line, shell=True, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
                raise RuntimeError(f"{line}: failed, see {LOG}")

    def start_consumers(self, count=1):
        for number in range(count):
            self.spawn("CONSUME", f"consume {number + 1}")
        self.wait(lambda: self.depth()[1] >= count, 60, "the consumers did not start")
        time.sleep(1)

    def start_producer(self):
        self.spawn("PRODUCE")
        time.sleep(1.5)

    def start_server(self):
        """Starts the HTTP side; returns a function that reports a run's status as a worker does."""
        self.spawn("SERVE")
        connection = http.client.HTTPConnection("127.0.0.1", int(self.environment["BATON_HTTP_PORT"]), timeout=30)

        def call(method, path, body=None):
            headers = {"X-Internal-Secret": self.environment["BATON_CALLBACK_SECRET"], "Content-Type": "application/json"}
            connection.request(method, path, body and json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        def is_up():
            try:
                return call("GET", "/livez") == 200
            except OSError:
                connection.close()
                return False

        def report(key, status):
            review, attempt = key.split("/")
            answer = call("POST", f"/api/internal/code-review-status/{review}", {"status": status, "attempt": int(attempt)})
            if answer != 200:
                raise RuntimeError(f"the callback of {review} was answered with {answer}: see {LOG}")

        self.wait(is_up, 60, "the server did not start")
        return report

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def wait(self, true, seconds, message, every=.2):
        end = time.monotonic() + seconds
        while not true():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with status {process.returncode}: see {LOG}")
            if time.monotonic() > end:
                raise RuntimeError(f"{message} within {seconds} s: see {LOG}")
            time.sleep(every)

    def depth(self):
        """(messages ready, consumers)."""
        return amqp.queue(servers.AMQP_PORT, self.name, self.queue)

    def stop(self):
        """Stops the roles; what they then leave in the queue counts as not acknowledged."""
        if not self.processes:
            return
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = {}
        time.sleep(.3)
        self.left = self.depth()[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.session.__exit__()
        servers.manage("DELETE", f"vhosts/{self.name}")
        servers.query(f"DROP DATABASE {self.name} WITH (FORCE)")

    # --- reviews ---

    def insert(self, first, last, repository="acme/repo", step=1):
        """Pending reviews numbered so, in one commit, of a hundred owners by the last two digits; returns their ids."""
        return self.session.query(f"""INSERT INTO code_reviews ({FIELDS}, platform_integration_id)
          SELECT 'org', 'o' || g % 100, 'github', '{repository}' || g % 100, g, 'https://github.com/acme/repo/pull/' || g,
            'Title ' || g, 'ann', 'main', 'feature/' || g, lpad(g::text, 40, '0'), md5('o' || g % 100)::uuid
          FROM generate_series({first}, {last}, {step}) g RETURNING id""")

    def number(self, expression, where="true"):
        return float(self.session.query(f"SELECT {expression} FROM code_reviews WHERE {where}")[0] or 0)

    def posts(self):
        return self.nginx.posts(self.first_post)

    def dispatched_once(self, n, posts):
        """Every row dispatched, every review posted once, and no message left after the roles were stopped."""
        return self.number("count(*)", "dispatched_at IS NOT NULL") == n == len(posts) == len({key for _, key in posts}) and not self.left


class Meter:
    """CPU seconds of the clients and of each server, and of the machine, and what Postgres has written, since it was made."""

    def __init__(self, system):
        # The first change of a page after it writes the whole page into the WAL: in each run as often.
        system.session.query("CHECKPOINT")
        self.system, self.start, self.ticks, self.written = system, self.read(system), processes.machine_ticks(), self.bytes_of(system)

    def read(self, system):
        result = {name: processes.cpu([servers.pid(name, system.nginx)]) for name in ("postgres", "rabbitmq", "nginx")}
        return dict(cpu=processes.cpu(system.pids()), **result)

    def bytes_of(self, system):
        """Of the WAL since its beginning, and of the database on disk."""
        wal, disk = system.session.query("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())")[0].split("|")
        return dict(wal=int(wal), disk=int(disk))

    def per_thousand(self, n):
        """CPU seconds per 1000 reviews, bytes written for each, and how much of the machine was idle or taken by another guest."""
        now, ticks, written = self.read(self.system), processes.machine_ticks(), self.bytes_of(self.system)
        steal, idle, every = (b - a for a, b in zip(self.ticks, ticks))
        result = {name: (now[name] - self.start[name]) * 1000 / n for name in now}
        result |= {name: (written[name] - self.written[name]) / n for name in written}
        return dict(result, idle=100 * idle / max(1, every), steal=100 * steal / max(1, every))

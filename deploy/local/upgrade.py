"""What deploy/local/upgrade does once both programs are built and the servers are up. Its order is that of main()."""
import base64
import collections
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from harness import database_url, free_port, say, sql, until

sys.path.append("deploy/bench/driver")
import standin  # noqa: E402

LOGS = pathlib.Path(".local/upgrade")
DATABASE = "upgrade"
OWNERS = 5
ENOUGH = 60  # dispatches while each situation lasts


class Worker:
    """A worker that counts what it is given, and repeats a callback until a server accepts it."""

    def __init__(self):
        self.posts, self.lock, self.servers = collections.Counter(), threading.Lock(), []
        worker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def body(self):
                return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

            def do_POST(self):
                body = self.body()
                if self.path != "/review":
                    return self.answer(200, {"success": True, "reviewId": self.path.split("/")[2]})
                key = (body["reviewId"], body["attempt"])
                with worker.lock:
                    worker.posts[key] += 1
                    is_first = worker.posts[key] == 1
                if is_first:
                    threading.Thread(target=worker.run, args=key, daemon=True).start()
                self.answer(202, {"reviewId": key[0], "status": "queued"})

            def do_GET(self):
                review = self.path.split("/")[2]
                with worker.lock:
                    attempts = [attempt for known, attempt in worker.posts if known == review]
                if not attempts:
                    return self.answer(404, {"error": "unknown"})
                self.answer(200, {"reviewId": review, "attempt": max(attempts), "status": "running"})

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, review, attempt):
        for status in ("running", "completed"):
            time.sleep(0.3)
            while not any(self.call(port, review, {"status": status, "attempt": attempt}) for port in list(self.servers)):
                time.sleep(0.3)

    def call(self, port, review, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/internal/code-review-status/{review}", data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-Internal-Secret": "s"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def count(self):
        with self.lock:
            return len(self.posts)


class Version:
    """One version's program, and all its roles."""
    roles = {"produce": ["produce"], "consume-1": ["consume", "--prefetch", "20"], "consume-2": ["consume", "--prefetch", "20"],
             "reap": ["reap", "--interval", "1s"], "serve": ["serve"]}

    def __init__(self, name, program, worker):
        self.name, self.program, self.worker, self.processes = name, program, worker, {}

    def command(self, *arguments):
        return subprocess.run([self.program, *arguments], capture_output=True, text=True)

    def start(self):
        port = free_port()
        for role, arguments in self.roles.items():
            log = open(LOGS / f"{self.name}-{role}.log", "a")
            self.processes[role] = subprocess.Popen(
                [self.program, *arguments], env={**os.environ, "BATON_HTTP_PORT": str(port)}, stdout=log, stderr=log)
        self.port = port
        self.worker.servers.append(port)

    def drain(self):
        """SIGTERM to all; each has to end by itself, with 0."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for role, process in self.processes.items():
            if status := process.wait(60):
                raise SystemExit(f"the {self.name} {role} ended with {status}: see {LOGS}")
        self.processes = {}
        self.worker.servers.remove(self.port)

    def check_alive(self):
        for role, process in self.processes.items():
            if (status := process.poll()) is not None:
                raise SystemExit(f"the {self.name} {role} has ended with {status}: see {LOGS}")

    def kill(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


class Load:
    """Inserts reviews of several owners, a few every moment, until it is stopped."""

    def __init__(self):
        self.count, self.is_over = 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over.wait(0.25):
            first = self.count + 1
            sql(DATABASE, f"""INSERT INTO code_reviews (owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author,
                                              base_ref, head_ref, head_sha)
                    SELECT 'org', 'o' || g % {OWNERS}, 'github', 'acme/shop', g, 'https://github.com/acme/shop/pull/' || g, 'Title ' || g,
                           'ann', 'main', 'feature', md5(random()::text) FROM generate_series({first}, {first + 2}) g""")
            self.count += 3

    def stop(self):
        self.is_over.set()
        self.thread.join()


def dispatch_more(situation, worker, *versions):
    """Lets the situation last until so many reviews more have been given to the worker."""
    before = worker.count()

    def is_enough():
        for version in versions:
            version.check_alive()
        return worker.count() >= before + ENOUGH

    until(f"{ENOUGH} reviews dispatched: {situation}", is_enough)
    say(f"{situation}: {worker.count() - before} reviews dispatched")


def settle(load, worker):
    """Everything ends, and went exactly one way."""
    load.stop()
    until("all completed", lambda: sql(DATABASE, "SELECT count(*) FROM code_reviews WHERE status <> 'completed'") == ["0"])
    total = int(sql(DATABASE, "SELECT count(*) FROM code_reviews")[0])
    twice = {key: count for key, count in worker.posts.items() if count > 1 or key[1] != 1}
    if twice or len(worker.posts) != total:
        raise SystemExit(f"{total} reviews, {len(worker.posts)} given to the worker, more than once: {twice}")
    crooked = sql(DATABASE, """SELECT review_id || ' ' || string_agg(to_status, ' ' ORDER BY id) FROM review_transitions GROUP BY review_id
                     HAVING string_agg(to_status, ' ' ORDER BY id) <> 'pending queued running completed'""")
    say(f"{total} reviews: each given to the worker once, and completed; {len(crooked)} were handed back on the way")
    return total


def there(old, new, worker):
    say(f"the older version, {old.command('--version').stdout.strip()}, makes the schema: version {schema()}")
    old.start()
    load = Load()
    dispatch_more("only old roles", worker, old)
    migrated = new.command("migrate")
    if migrated.returncode:
        raise SystemExit(f"the new version's migrate failed: {migrated.stderr}")
    say(f"the new version has migrated next to them: schema version {schema()}")
    dispatch_more("old roles on the newer schema", worker, old)
    new.start()
    dispatch_more("both", worker, old, new)
    old.drain()
    dispatch_more("only new roles, the old ones have drained", worker, new)
    settle(load, worker)


def back(old, new, worker):
    refused = old.command("migrate")
    if refused.returncode != 1 or "upgrade" not in refused.stderr:
        raise SystemExit(f"the old version's migrate should refuse, but: {refused.returncode} {refused.stderr}")
    say("back: the old version's migrate refuses")
    load = Load()
    load.count = 1_000_000  # other pull requests
    old.start()
    dispatch_more("both", worker, old, new)
    new.drain()
    dispatch_more("only old roles on the newer schema, the new ones have drained", worker, old)
    settle(load, worker)
    old.drain()


def schema():
    return sql(DATABASE, "SELECT max(version) FROM baton_migrations")[0]


def main():
    for log in LOGS.glob("*.log"):
        log.unlink()
    sql("postgres", f"CREATE DATABASE {DATABASE}")
    worker = Worker()
    github = standin.SlowGitHub(lambda number: 0.3)
    os.environ.update(
        BATON_DATABASE_URL=database_url(DATABASE), BATON_AMQP_URL=os.environ["AMQP_URL"], BATON_QUEUE="baton.upgrade", BATON_WORKER_URL=worker.url,
        BATON_WORKER_TOKEN="t", BATON_CALLBACK_SECRET="s", BATON_ENCRYPTION_KEY=base64.b64encode(b"k" * 32).decode(),
        BATON_GITHUB_API_URL=github.url, BATON_OWNER_LIMIT="100")
    old, new = Version("old", os.environ["UPGRADE_OLD"], worker), Version("new", os.environ["UPGRADE_NEW"], worker)
    made = old.command("migrate")
    if made.returncode:
        raise SystemExit(f"the old version's migrate failed: {made.stderr}")
    sql(DATABASE, f"""INSERT INTO agent_configs (owner_type, owner_id, platform, config)
            SELECT 'org', 'o' || g, 'github', '{{}}' FROM generate_series(0, {OWNERS - 1}) g""")
    try:
        there(old, new, worker)
        back(old, new, worker)
    finally:
        old.kill()
        new.kill()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()

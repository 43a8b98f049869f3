"""All of Baton around a proof: a database, a queue, the stand-ins, and roles with the default settings."""
import base64
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import postgres
import standin
from harness import free_port, until
from roles import Role

RESULTS = pathlib.Path(".local/prove")
DATABASE = "prove"
ACCOUNT = "prove"  # Baton's role in the database: superusers have no limit of connections
QUEUE, DEAD_QUEUE = "baton.reviews", "baton.dead"
CALM = dict(run=(1, 6), lost=0, late=0, doubled=0, silent=0)
FIELDS = "owner_type, owner_id, platform, repo_full_name, pr_number, pr_url, pr_title, pr_author, base_ref, head_ref, head_sha"


class Journal:
    """What was done, with times: a line of JSON each, in memory and in a file."""

    def __init__(self, path):
        self.lock, self.entries, self.file = threading.Lock(), [], open(path, "w", buffering=1)

    def note(self, what, **fields):
        entry = dict(what=what, at=time.time(), **fields)
        with self.lock:
            self.entries.append(entry)
            self.file.write(json.dumps(entry) + "\n")
        return entry


class Proxy:
    """proxy.py: every server of `targets`, by name, gets a port of its own."""

    def __init__(self, seed, targets, journal):
        self.journal, self.ports, items = journal, {}, []
        for name, target in targets:
            port = free_port()
            self.ports.setdefault(name, []).append(port)
            items.append(f"{name}={port}={target}")
        command = [sys.executable, pathlib.Path(__file__).with_name("proxy.py"), str(seed), journal, *items]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        until("the proxy listens", lambda: len(read_lines(journal)) == len(items))

    def command(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


def read_lines(path):
    """The entries of a journal that another program writes."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


class System:
    suffix = ""  # of the folder of logs

    def __init__(self, name, executable, github_delay=lambda number: 0, worker=None, seed=0, servers=1, has_proxy=False, addresses=None):
        """`name`: of the folder of logs; `github_delay`: seconds that a pull request's number costs; `worker`: options of the stand-in
        worker; `has_proxy`: whether Baton reaches its servers, and the worker Baton, through one that can disturb;
        `addresses`: settings with the addresses of other servers."""
        self.logs = RESULTS / (name + self.suffix)
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.glob("*.log"):
            old.unlink()
        self.executable, self.seed, self.roles, self.addresses = executable, seed, {}, addresses or {}
        self.journal = Journal(self.logs / "journal.log")
        self.ports = [free_port() for _ in range(servers)]
        self.github = standin.SlowGitHub(github_delay)
        self.worker_port, self.worker_journal = free_port(), self.logs / "worker.log"
        self.proxy = Proxy(seed, [
            ("postgres", postgres.port()), ("broker", os.environ["AMQP_PORT"]), ("worker", self.worker_port),
            ("github", self.github.server_port), *(("callbacks", port) for port in self.ports)], self.logs / "proxy.log") if has_proxy else None
        self.start_worker({**CALM, **(worker or {})})
        if not postgres.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{ACCOUNT}'"):
            postgres.query(f"CREATE ROLE {ACCOUNT} LOGIN")
        postgres.query(f"CREATE DATABASE {DATABASE} OWNER {ACCOUNT}")
        self.session = postgres.Session(DATABASE)
        self.prepare()

    def prepare(self):
        self.run("migrate")

    def command(self, kind, *flags):
        """What a role runs."""
        return [self.executable, kind, *flags]

    def start_worker(self, options):
        callbacks = ",".join(f"http://127.0.0.1:{port}" for port in (self.proxy.ports["callbacks"] if self.proxy else self.ports))
        command = [sys.executable, pathlib.Path(__file__).with_name("worker.py"), str(self.worker_port), str(self.seed), callbacks,
                   self.worker_journal, json.dumps(options)]
        self.worker = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        until("the stand-in worker listens", self.worker_entries)

    def command_worker(self, **command):
        self.worker.stdin.write(json.dumps(command) + "\n")
        self.worker.stdin.flush()

    def worker_entries(self):
        """What the worker has written so far."""
        return read_lines(self.worker_journal)

    def settings(self):
        """Addresses and secrets. All times are Baton's own defaults."""
        def port(link, otherwise):
            return self.proxy.ports[link][0] if self.proxy else otherwise

        return dict(
            BATON_DATABASE_URL=f"postgresql://{ACCOUNT}@127.0.0.1:{port('postgres', postgres.port())}/{DATABASE}",
            BATON_AMQP_URL=f"amqp://guest:guest@127.0.0.1:{port('broker', os.environ['AMQP_PORT'])}/%2F", BATON_QUEUE=QUEUE,
            BATON_WORKER_URL=f"http://127.0.0.1:{port('worker', self.worker_port)}", BATON_WORKER_TOKEN="t", BATON_CALLBACK_SECRET="s",
            BATON_GITHUB_API_URL=f"http://127.0.0.1:{port('github', self.github.server_port)}",
            BATON_ENCRYPTION_KEY=base64.b64encode(b"k" * 32).decode(), BATON_LOG_FORMAT="json") | self.addresses

    def run(self, *arguments):
        done = subprocess.run([self.executable, *arguments], env={**os.environ, **self.settings()}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"baton {' '.join(arguments)} failed: {done.stderr}")

    # --- roles ---

    def start(self, kind, count=1, *flags, apart=0):
        """Starts so many processes of a role, so many seconds apart; returns them once they have started."""
        roles = []
        for _ in range(count):
            time.sleep(apart if roles else 0)
            name = f"{kind}-{1 + sum(role.kind == kind for role in self.roles.values())}"
            more = {"BATON_HTTP_PORT": str(self.ports[len(roles)])} if kind == "serve" else {}
            role = Role(name, kind, self.command(kind, *flags), {**self.settings(), **more}, self.journal, self.logs / f"{name}.log")
            self.roles[name] = role
            role.start()
            roles.append(role)
        for role in roles:
            until(f"{role.name} has started: see {role.log}", role.has_started)
        return roles

    # --- reviews ---

    def add_owners(self, limits):
        """Owners o0, o1, … with these limits, and a configuration each."""
        values = ", ".join(f"('org', 'o{number}', {limit})" for number, limit in enumerate(limits))
        self.session.query(f"""INSERT INTO review_owners (owner_type, owner_id, max_concurrent) VALUES {values};
          INSERT INTO agent_configs (owner_type, owner_id, platform) SELECT owner_type, owner_id, 'github' FROM review_owners""")

    def insert(self, reviews):
        """Inserts (number, owner) pairs as pending reviews, and returns the ids of those that are new. The id follows from seed and number, so
        that a seed repeats a run."""
        values = ", ".join(f"({number}, '{owner}')" for number, owner in reviews)
        return [row[0] for row in self.session.query(f"""INSERT INTO code_reviews (id, {FIELDS})
          SELECT md5('{self.seed}/' || n)::uuid, 'org', o, 'github', 'acme/shop', n, 'https://github.com/acme/shop/pull/' || n, 'Title',
                 'ann', 'main', 'feature', md5(n::text) FROM (VALUES {values}) AS v (n, o)
          ON CONFLICT DO NOTHING RETURNING id""")]

    def count(self, condition):
        return int(postgres.patiently(lambda: self.session.query(f"SELECT count(*) FROM code_reviews r WHERE {condition}"))[0][0])

    # --- the end ---

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for role in self.roles.values():
            role.end()
        self.worker.kill()
        self.worker.wait()
        if self.proxy:
            self.proxy.end()
        self.github.__exit__()
        self.session.close()
        postgres.query(f"DROP DATABASE {DATABASE} WITH (FORCE)")

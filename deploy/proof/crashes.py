"""`deploy/prove crashes`: Postgres is stopped in the middle of work (`pg_ctl stop -m immediate`) and started again, round after round, while
reviews arrive, are claimed, leased, called and end. Commits that do not wait for the disk are lost by it. Promised: each review is at the worker
once, and ends."""
import collections
import json
import random
import re
import threading
import time
import urllib.request

import postgres
from figures import print_table
from harness import free_port, say, until
from system import RESULTS, System

OWNERS = 20
BURST = 20  # reviews of one insert: a claim of several is on its way when the server crashes
LIVE = 60  # reviews that have not ended, while more are inserted
SETTLE_LIMIT = 600  # seconds in which every review has to end after the last crash
ROLES = [("produce", 2), ("consume", 2), ("reap", 1), ("serve", 1)]


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=200, help="how often Postgres crashes")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments of the crashes")


class Load:
    """Reviews that keep coming, as fast as they end. An insert whose answer is lost in a crash is repeated: it may have been committed."""

    def __init__(self, system):
        self.system, self.number, self.is_over = system, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over.is_set():
            time.sleep(0.05)
            batch = [(number, f"o{number % OWNERS}") for number in range(self.number + 1, self.number + 1 + BURST)]
            try:
                if self.system.count("r.status IN ('pending', 'queued', 'running')") < LIVE:
                    self.system.insert(batch)
                    self.number += BURST
            except (OSError, RuntimeError):
                pass

    def stop(self):
        self.is_over.set()
        self.thread.join()


def crash(system, chance):
    """One round: work goes on, then the server crashes at any moment of it, and comes back after a moment."""
    size = lambda: system.worker_journal.stat().st_size  # noqa: E731
    before = size()
    until("reviews are with the worker again", lambda: size() > before + 1000, 120, every=0.02)
    time.sleep(chance.uniform(0, 0.4))
    at = time.monotonic()
    postgres.crash_and_start(chance.uniform(0, 0.3))
    return time.monotonic() - at


def claimed(ports):
    """How many claims the producers have made, by their own count."""
    total = 0
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            found = re.search(r"^baton_claimed_total (\S+)", answer.read().decode(), re.M)
            total += int(float(found[1])) if found else 0
    return total


def run(options):
    chance = random.Random(f"crashes {options.seed}")
    # Commits that do not wait stay in memory until another one waits: the longest that Postgres allows.
    postgres.restart_with({"wal_writer_delay": "'10s'"})
    with System("crashes", options.executable, worker=dict(run=(0.1, 1))) as system:
        system.add_owners([1000] * OWNERS)
        ports = []
        for kind, count in ROLES:
            flags = {"consume": ["--prefetch", "100"], "reap": ["--interval", "2s"]}.get(kind, [])
            for _ in range(count):
                more = []
                if kind == "produce":
                    ports.append(free_port())
                    more = ["--metrics-port", str(ports[-1])]
                system.start(kind, 1, *flags, *more)
        load, away = Load(system), []
        for number in range(1, options.rounds + 1):
            away.append(crash(system, chance))
            if number % 20 == 0:
                say(f"{number} crashes, {load.number} reviews")
        load.stop()
        began = time.monotonic()
        until("every review has ended", lambda: system.count("completed_at IS NULL") == 0, SETTLE_LIMIT, every=1)
        return decide(system, load, ports, dict(crashes=options.rounds, seed=options.seed, settled_s=round(time.monotonic() - began, 1),
                                                postgres_away_s=round(sum(away), 1)))


def decide(system, load, ports, result):
    starts, keys = collections.Counter(), set()
    for entry in system.worker_entries():
        if entry["what"] == "post":
            starts[entry["review"]] += 1
            keys.add((entry["review"], entry["attempt"]))
    rows = system.session.query("SELECT count(*) FROM review_transitions WHERE to_status = 'queued'")
    return result | dict(
        inserted=load.number, rows=system.count("true"), completed=system.count("status = 'completed'"), started=len(starts),
        keys=len(keys), calls=sum(starts.values()), claims_taken_back=claimed(ports) - int(rows[0][0]),
        republished=system.count("republish_count > 0"), leases_lost=system.count("lease_losses > 0"),
        ended_by_themselves=sum(role.process.poll() is not None for role in system.roles.values()))


def is_fine(result):
    """Each review that was inserted has one row, one idempotency key at the worker, one call, and an end."""
    counts = {result[key] for key in ("inserted", "rows", "completed", "started", "keys", "calls")}
    return len(counts) == 1 and not result["ended_by_themselves"]


def main(options):
    result = run(options)
    result["promised"] = is_fine(result)
    path = options.json or RESULTS / "crashes.json"
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
    print_table(["figure", "value"], [[key.replace("_", " "), value] for key, value in result.items()])
    say(f"all of it: {path}")
    return result["promised"]

"""`deploy/prove cluster`: three RabbitMQ nodes and a Postgres primary with a synchronous standby, each in a network namespace. Nodes are killed
and cut off, the standby is promoted, the old primary comes back read-only, while reviews keep coming. Baton has every host in its URLs."""
import json
import os
import pathlib
import shutil
import threading
import time

import ledger
import postgres
from cluster.events import EVENTS, PROMISED
from cluster.network import Network
from cluster.pair import Pair
from cluster.rabbitmq import Cluster
from figures import print_table, summary
from harness import say, until
from system import ACCOUNT, DATABASE, QUEUE, RESULTS, System

ROLES = [("produce", 2), ("consume", 3), ("reap", 2), ("serve", 2)]
QUIET = 15  # seconds between an event's end and the next event
LIMITS = [1 + number % 5 for number in range(60)]


def add_arguments(parser):
    parser.add_argument("--rate", type=float, default=5, help="reviews a second")
    parser.add_argument("--rounds", type=int, default=1, help="how often each event comes")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(EVENTS), help="events, with commas: " + ", ".join(EVENTS))


class Load:
    """Reviews at a steady rate; what could not be inserted is inserted later."""

    def __init__(self, system, rate):
        self.system, self.rate, self.number, self.is_over = system, rate, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        began = time.monotonic()
        while not self.is_over.wait(0.2):
            due = int((time.monotonic() - began) * self.rate)
            if due == self.number:
                continue
            try:
                self.system.insert([(n, f"o{n * 7 % len(LIMITS)}") for n in range(self.number + 1, due + 1)])
                self.number = due
            except RuntimeError:
                continue

    def stop(self):
        self.is_over.set()
        self.thread.join()


def run(options):
    directory = pathlib.Path(os.environ["PROVE_DIRECTORY"])
    directory.chmod(0o755)
    network = Network()
    say("starting three RabbitMQ nodes, and PostgreSQL with a synchronous standby")
    broker, pair = Cluster(network, directory), Pair(network, directory)
    os.environ["PG_URL"] = pair.url("postgres", "postgres")
    os.environ["AMQP_PORT"], os.environ["PG_PORT"] = "5672", "5432"
    postgres.ENVIRONMENT["PGCONNECT_TIMEOUT"] = "3"
    addresses = dict(BATON_AMQP_URL=broker.url(), BATON_DATABASE_URL=pair.url(ACCOUNT, DATABASE))
    worker = dict(run=(2, 8), lost=0.1, late=0.1, doubled=0.1)
    try:
        with System("cluster", options.executable, lambda number: 0.3 + number % 12 / 10, worker, servers=2, addresses=addresses) as system:
            return go(system, network, broker, pair, options)
    finally:
        for node in broker.nodes:
            shutil.copytree(node.home / "log", RESULTS / "cluster" / node.name, dirs_exist_ok=True)


def go(system, network, broker, pair, options):
    broker.grow()
    system.add_owners(LIMITS)
    for kind, count in ROLES:
        flags = {"consume": ["--prefetch", "40"], "reap": ["--interval", "2s"]}.get(kind, [])
        system.start(kind, count, *flags)
    load = Load(system, options.rate)
    until("the first reviews are sent", lambda: len(posts(system)) > 20)
    done = []
    try:
        for _ in range(options.rounds):
            for name in options.only:
                say(name)
                began = time.time()
                able = EVENTS[name](network, broker, pair)
                network.heal()
                time.sleep(QUIET)
                done.append(dict(event=name, began=began, able=able, end=time.time()))
    finally:
        load.stop()
    system.command_worker(options=dict(lost=0))
    say(f"the world is healed; {load.number} reviews were inserted")
    began = time.monotonic()
    while system.count("r.status IN ('pending', 'queued', 'running')") and time.monotonic() - began < 600:
        time.sleep(1)
    return decide(system, broker, load, done) | dict(settled=time.monotonic() - began)


def posts(system):
    return [entry for entry in system.worker_entries() if entry["what"] == "post"]


def decide(system, broker, load, done):
    entries, times = system.worker_entries(), [entry["at"] for entry in posts(system)]
    with postgres.Session(DATABASE) as session:
        waits = [(float(claimed), float(seconds)) for claimed, seconds in session.query("""
          SELECT extract(epoch FROM min(t.at)), extract(epoch FROM r.dispatched_at - min(t.at))
            FROM code_reviews r JOIN review_transitions t ON t.review_id = r.id
           WHERE t.to_status = 'queued' AND r.dispatched_at IS NOT NULL GROUP BY r.id, r.dispatched_at""")]
        for event in done:
            event["gap"] = longest_gap(times, event["began"], event["end"])
            event["gap_when_able"] = longest_gap(times, event["able"], event["end"])
            event["waits"] = summary([seconds for claimed, seconds in waits if event["began"] < claimed < event["end"]])
        return dict(
            inserted=load.number, reviews=system.count("true"), completed=system.count("status = 'completed'"), failed=ledger.failed(session),
            lost=ledger.lost(session), without_a_run=ledger.without_a_run(session, entries), over_capacity=ledger.over_capacity(session),
            second_starts=ledger.second_starts(entries, []), left_in_queue=broker.ready(QUEUE), events=done)


def longest_gap(times, began, end):
    """The longest time without a POST."""
    inside = [began, *(at for at in times if began < at < end), end]
    return max(after - before for before, after in zip(inside, inside[1:]))


def print_result(result):
    say("the longest time without a POST, in all and since the servers could serve again; and from claim to dispatch, in seconds:")
    print_table(["event", "without a POST", "when able", "reviews", "p50", "p99", "worst"], [
        [event["event"], f"{event['gap']:.1f}", f"{event['gap_when_able']:.1f}", *event["waits"]] for event in result["events"]])
    print_table(["together", ""], [
        ["reviews", result["reviews"]], ["completed", result["completed"]],
        ["lost", len(result["lost"]) + result["inserted"] - result["reviews"]],
        ["failed or cancelled", sum(result["failed"].values())], ["completed without a run of the worker", len(result["without_a_run"])],
        ["started twice", len(result["second_starts"])], ["over an owner's limit by", max(0, result["over_capacity"])],
        ["tickets left", result["left_in_queue"]], ["all had ended after the last event, s", round(result["settled"])]])


def main(options):
    result = run(options)
    path = options.json or RESULTS / "cluster.json"
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
    print_result(result)
    say(f"all of it: {path}")
    broken = any(result[key] for key in ("lost", "failed", "without_a_run", "second_starts", "left_in_queue"))
    return not (broken or result["over_capacity"] > 0 or result["inserted"] != result["reviews"]
                or any(event["gap_when_able"] > PROMISED.get(event["event"], 10) for event in result["events"]))

"""`deploy/prove faults`: random faults on all roles while reviews keep coming; then a time without faults; then the ledger's decision."""
import hashlib
import json
import os
import random
import threading
import time
import uuid

import broker
import clocks
import ledger
import postgres
import recovery
import report
import resources
import times
import weather
from faults import EXTRA, KINDS, USUAL
from harness import say
from system import DATABASE, DEAD_QUEUE, QUEUE, RESULTS, System

ROLES = [("produce", 2), ("consume", 3), ("reap", 2), ("serve", 2)]
PREPARATION = (0.3, 1.5)  # seconds that GitHub takes for a pull request
RUN = (2, 8)  # seconds of a run


def add_arguments(parser):
    parser.add_argument("--short", action="store_true", help="for every change: seed 1, 3 minutes, 900 reviews, each run reported")
    parser.add_argument("--seed", type=int, default=1, help="decides arrivals, preparation, runs, callbacks and faults")
    parser.add_argument("--reviews", type=int, default=3000)
    parser.add_argument("--owners", type=int, default=60, help="their limits are 1 to 5")
    parser.add_argument("--minutes", type=float, default=10, help="how long the reviews arrive and the faults go on")
    parser.add_argument("--prefetch", type=int, default=40, help="of each of three consumers")
    parser.add_argument("--settle", type=float, default=900, help="seconds that a healed world has to end every review")
    parser.add_argument("--pattern", choices=list(weather.PATTERNS), default="turns", help="storm, each fault alone, or both in turn")
    parser.add_argument("--gap", type=float, default=2, help="the longest time between the beginnings of two faults in a storm, in seconds")
    parser.add_argument("--spare", action="store_true", help="never ends the first process of each role: its memory shows a leak")
    parser.add_argument("--kills-only", action="store_true", help="no fault but kill -9")
    parser.add_argument("--only", type=classes, help="fault classes, with commas: " + ", ".join(USUAL))
    parser.add_argument("--also", type=classes, default=[], help="more classes: " + ", ".join(EXTRA))
    parser.add_argument("--without", type=classes, default=[], help="fault classes that are left out")


def classes(text):
    names = text.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(unknown)
    return names


def chosen(options):
    only = ["kill", "kill-publishing"] if options.kills_only else options.only or USUAL
    return [name for name in [*only, *options.also] if name not in options.without]


def name(options):
    return f"{options.command}-{'short' if options.short else options.seed}" + ("-kills" if options.kills_only else "")


class Arrivals:
    """Reviews of owners in proportion to their limits, at random moments spread over the whole time."""

    def __init__(self, system, limits, options):
        self.system, self.is_over = system, threading.Event()
        chance = random.Random(f"arrivals {options.seed}")
        owners = chance.choices([f"o{n}" for n in range(len(limits))], limits, k=options.reviews)
        moments = sorted(chance.uniform(0, options.minutes * 60) for _ in owners)
        self.plan = list(zip(moments, enumerate(owners, 1)))
        # As System.insert makes the ids.
        self.owners = {str(uuid.UUID(hashlib.md5(f"{options.seed}/{n}".encode()).hexdigest())): owner for n, owner in enumerate(owners, 1)}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        began, plan = time.monotonic(), self.plan
        while plan:
            due = [review for at, review in plan if at <= time.monotonic() - began]
            if due:
                try:
                    self.system.insert(due)
                except RuntimeError:
                    continue
                plan = plan[len(due):]
            time.sleep(0.2)
        self.is_over.set()


class Supervisor:
    """Starts again what ended by itself, and keeps the list."""

    def __init__(self, system):
        self.system, self.ended, self.is_over = system, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.is_over.wait(0.2):
            for role in list(self.system.roles.values()):
                if found := role.watch():
                    self.ended.append(dict(role=found[0], status=found[1], at=time.time()))
                    self.system.journal.note("ended by itself", role=found[0], status=found[1])

    def stop(self):
        self.is_over.set()
        self.thread.join()


def run(options, make=System, places=ROLES, silent=0.05):
    """`silent`: how many runs of the first half are never reported."""
    chance = random.Random(f"owners {options.seed}")
    limits = [1 + number % 5 for number in range(options.owners)]
    delays = [chance.uniform(*PREPARATION) for _ in range(1000)]
    worker = dict(run=RUN, lost=0.2, late=0.1, doubled=0.1, silent=silent)
    load = [os.getloadavg()[0]]
    with make(name(options), options.executable, lambda number: delays[number % 1000], worker, options.seed, 2, has_proxy=True) as system:
        system.add_owners(limits)
        for kind, count in places:
            flags = {"consume": ["--prefetch", str(options.prefetch)], "reap": ["--interval", "2s"]}.get(kind, [])
            system.start(kind, count, *flags)
        supervisor, watched, used = Supervisor(system), recovery.Recovery(), resources.Resources(system)
        try:
            faults, arrivals, settled = storm(system, watched, limits, options)
        finally:
            watched.stop()
            supervisor.stop()
            used.stop()
        load.append(os.getloadavg()[0])
        limits = {f"o{number}": limit for number, limit in enumerate(limits)}
        result = decide(system, watched, faults, supervisor.ended, arrivals.owners, limits)
        result |= dict(seed=options.seed, executable=options.executable, classes=chosen(options), settled=settled, load=load,
                       resources=used.table())
        result["exits"] = stop(system)
    return result


def storm(system, watched, limits, options):
    """Runs arrivals and faults; then ends all faults and waits. Returns the faults, the arrivals, and the seconds until all had ended."""
    arrivals = Arrivals(system, limits, options)
    sky = weather.Weather(system, watched, options, chosen(options))
    began, half = time.monotonic(), False

    def goes_on():
        nonlocal half
        if not half and time.monotonic() - began > options.minutes * 30:
            # Baton asks about a run that was never reported after five minutes: none may be left at the end.
            half = True
            system.command_worker(options=dict(silent=0))
        return time.monotonic() - began < options.minutes * 60

    if "clock" in sky.classes and not clocks.are_possible():
        say("no wrong clocks: libfaketime is not installed (apt-get install faketime)")
    say(f"{options.reviews} reviews arrive within {options.minutes:g} minutes; faults: {', '.join(sky.classes)}")
    sky.run(goes_on)
    system.command_worker(mode="fine", options=dict(lost=0))
    for role in system.roles.values():
        role.resume()
    arrivals.is_over.wait(60)
    say(f"{len(sky.faults)} faults; the world is healed, {system.count('completed_at IS NULL')} reviews have not ended yet")
    began = time.monotonic()
    while system.count("r.status IN ('pending', 'queued', 'running')") and time.monotonic() - began < options.settle:
        time.sleep(1)
    return sky.faults, arrivals, time.monotonic() - began


def stop(system):
    """SIGTERM to every role; returns the statuses that are not 0."""
    for role in system.roles.values():
        role.is_ending = True
        role.process.terminate()
    statuses = {}
    for name, role in system.roles.items():
        if status := role.wait(role.process):
            statuses[name] = status
    return statuses


def decide(system, watched, faults, ended, owners, limits):
    entries, session = system.worker_entries(), postgres.Session(DATABASE)
    with session:
        posts, ends = ledger.posts_by_review(entries), ledger.ends(session)
        recovery.complete(watched.samples, posts, ends)
        times.judge(watched.samples, faults, times.handed_back(session))
        return dict(
            inserted=len(owners), over_capacity_at_worker=ledger.over_capacity_at_worker(entries, owners, limits),
            without_a_run=ledger.without_a_run(session, entries), left_in_queue=broker.ready(QUEUE), dead_letters=broker.ready(DEAD_QUEUE),
            by_fault=times.recovery_by_fault(session, watched.samples, faults, posts, ends),
            reviews=system.count("true"), completed=system.count("status = 'completed'"), failed=ledger.failed(session),
            lost=ledger.lost(session), over_capacity=ledger.over_capacity(session),
            second_starts=ledger.second_starts(entries, faults), ended_by_themselves=ended,
            claim_to_post=times.on_the_way(session, entries),
            never_recovered=[sample for sample in watched.samples if sample["end"] is None], samples=watched.samples,
            faults=faults)


def is_fine(result):
    broken = ("lost", "never_recovered", "ended_by_themselves", "exits", "failed", "without_a_run", "left_in_queue")
    known = [start for start in result["second_starts"] if start["knowledge"] == "known"]
    return not (any(result[key] for key in broken) or known or result["over_capacity"] > 0 or result["inserted"] != result["reviews"])


def main(options):
    if options.short:
        options.seed, options.minutes, options.reviews = 1, 3, 900
    result = run(options, silent=0 if options.short else 0.05)
    path = options.json or RESULTS / f"{name(options)}.json"
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
    report.print_results([result])
    say(f"all of it: {path}")
    return is_fine(result)

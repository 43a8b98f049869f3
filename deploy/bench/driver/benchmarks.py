"""One function a benchmark. Each yields (label, figures) and leaves nothing behind."""
import os
import random
import statistics
import time

import processes
import servers
from growth import growth, owners
from standin import InstantWorker, SlowGitHub
from system import Meter, System, command

LIMIT = int(os.environ.get("RUN_TIMEOUT", 300))  # seconds until a run that does not end counts as failed


def twenty(nginx, options):
    """Twenty reviews whose preparation takes 3 to 5 s, against the slowest of them alone."""
    n = options.n or 20

    def delay(number):
        return 3 + 2 * (number - 1) / max(1, n - 1)

    with SlowGitHub(delay) as github, System(nginx, github.url) as system:
        system.start_consumers()
        system.start_producer()

        def last_post(first, last, repository):
            began, before = time.time(), nginx.post_count()
            system.insert(first, last, repository)
            system.wait(lambda: nginx.post_count() - before >= last - first + 1, LIMIT, "not all reviews were posted")
            return nginx.posts(before)[-1][0] - began

        alone = last_post(n, n, "acme/alone")
        last = last_post(1, n, "acme/repo")
        system.stop()
        yield f"{n} reviews", dict(last_post=last, slowest_alone=alone, one_after_another=sum(map(delay, range(1, n + 1))),
                                   pulls_asked=github.asked, once=system.dispatched_once(n + 1, system.posts()))


def prepare(nginx, options):
    """Each call of GitHub takes 1 s: one review with a cold token and with a warm one, many installations at once, one installation."""
    n = options.n or 20
    with SlowGitHub(lambda _: 0, every=1) as github, System(nginx, github.url) as system:
        system.start_consumers()
        system.start_producer()

        def run(first, last=None, step=1):
            began, before, calls, tokens = time.time(), nginx.post_count(), github.calls, github.tokens
            count = len(system.insert(first, last or first, step=step))
            system.wait(lambda: nginx.post_count() - before >= count, LIMIT, "not all reviews were posted")
            seconds = nginx.posts(before)[-1][0] - began
            return dict(last_post=seconds, requests=(github.calls - calls) / count, tokens=github.tokens - tokens)

        cold = run(1)
        results = {"1 review, cold": cold, "1 review, warm": run(101), f"{n} installations": run(2, n + 1),
                   "100 of one installation": run(100, 10000, step=100)}
        system.stop()
        once = system.dispatched_once(n + 102, system.posts())
        for label, figures in results.items():
            yield label, dict(figures, ratio=figures["last_post"] / cold["last_post"], once=once)


def idle(nginx, options):
    """Insert to POST, one at a time, nothing else going on: 100 ms apart, and 1.5 s apart, when nothing is known or warm any more."""
    warm = 5
    for n, pause, label in ((options.n or 50, .1, "inserts"), (options.n or 30, 1.5, "inserts 1.5 s apart")):
        with System(nginx) as system:
            system.start_consumers()
            system.start_producer()
            began = {}
            for number in range(1, n + warm + 1):
                start = time.time()
                began[system.insert(number, number)[0]] = start
                time.sleep(pause)
            time.sleep(1)
            system.stop()
            posts = system.posts()
            # nginx's clock has steps of 1 ms: half a step is added.
            milliseconds = sorted((at + .0005 - began[key.split("/")[0]]) * 1000 for at, key in posts[warm:])
            if not milliseconds:
                raise RuntimeError("no review was posted: see .local/bench.log")
            yield f"{n} {label}", dict(
                median_ms=statistics.median(milliseconds), p95_ms=milliseconds[int(len(milliseconds) * .95)],
                once=system.dispatched_once(n + warm, posts))


def refill(nginx, options):
    """An owner whose slots are full, and more waits: from the answer to a run's completion to the next review's POST."""
    n, warm = options.n or 300, 10
    for slots in (1, 8):
        with InstantWorker() as worker, System(nginx, worker=worker.url) as system:
            system.start_consumers()
            report = system.start_server()
            system.session.query(f"""INSERT INTO review_owners (owner_type, owner_id, max_concurrent) VALUES ('org', 'o0', {slots})
              ON CONFLICT (owner_type, owner_id) DO UPDATE SET max_concurrent = excluded.max_concurrent""")
            total = n + warm + slots
            system.insert(100, 100 * total, step=100)
            system.start_producer()
            posts = [worker.next_post(LIMIT) for _ in range(slots)]
            waits, callbacks = [], []
            for number in range(n + warm):
                report(posts[-1][1], "running")
                # A run lasts: by its end its dispatch was recorded long ago. Not in step with any timer.
                time.sleep(random.uniform(.04, .08))
                sent = time.time()
                report(posts[number][1], "completed")
                accepted = time.time()
                posts.append(worker.next_post(LIMIT))
                callbacks.append((accepted - sent) * 1000)
                waits.append((posts[-1][0] - accepted) * 1000)
            time.sleep(.5)
            system.stop()
            waits, callbacks = sorted(waits[warm:]), callbacks[warm:]
            yield f"{slots} slot" + "s" * (slots > 1), dict(
                median_ms=statistics.median(waits), p99_ms=waits[int(len(waits) * .99)], callback_ms=statistics.median(callbacks),
                once=system.dispatched_once(total, posts))


def throughput(nginx, options):
    """Everything is up and idle; n pending rows appear in one commit; until the last is recorded as dispatched."""
    n = options.n or 20000
    for consumers in options.consumers:
        with System(nginx) as system:
            system.start_consumers(consumers)
            system.start_producer()
            meter = Meter(system)
            system.insert(1, n)
            # Postgres is asked only when nginx has had them all: it is what is being measured.
            system.wait(lambda: nginx.post_count() - system.first_post >= n, LIMIT, "not all reviews were posted")
            waiting = "SELECT count(*) FROM code_reviews WHERE dispatched_at IS NULL AND status IN ('pending', 'queued')"
            system.wait(lambda: system.session.query(waiting) == ["0"], LIMIT, "not all reviews were recorded")
            figures = meter.per_thousand(n)
            figures |= {key: processes.memory(system.pids(), name) for key, name in (("rss", "VmHWM"), ("pss", "Pss"))}
            seconds = system.number("extract(epoch FROM max(dispatched_at) - min(claimed_at))")
            system.stop()
            yield f"{consumers} consumer" + "s" * (consumers > 1), dict(
                rate=n / seconds, **figures, once=system.dispatched_once(n, system.posts()))


def claim(nginx, options):
    """Rows claimed and published, with no consumer to take them."""
    n = options.n or 20000
    with System(nginx) as system:
        system.start_producer()
        meter = Meter(system)
        system.insert(1, n)
        waiting = "SELECT count(*) FROM code_reviews WHERE published_at IS NULL AND status IN ('pending', 'queued')"
        system.wait(lambda: system.session.query(waiting) == ["0"], LIMIT, "not all reviews were published")
        figures = meter.per_thousand(n)
        seconds = system.number("extract(epoch FROM max(published_at) - min(claimed_at))")
        claiming = system.number("extract(epoch FROM max(claimed_at) - min(claimed_at))")
        ready = system.depth()[0]
        del figures["nginx"]
        yield "1 producer", dict(claimed=n / claiming if claiming else float("inf"), confirmed=n / seconds, **figures, once=ready == n)


def memory(nginx, options):
    """A consumer with n reviews in preparation at once."""
    if os.environ.get("BATON_BENCH_CONSTANT"):
        raise RuntimeError("memory needs a preparation that takes time: unset BATON_BENCH_CONSTANT")
    for n in [options.n] if options.n else (64, 500, 2000):
        yield f"{n} in flight", memory_of(n, nginx)


def memory_of(n, nginx):
    with SlowGitHub(lambda _: 8 + n / 200) as github, System(nginx, github.url) as system:
        system.environment["BATON_PREFETCH"] = str(max(256, n))
        system.start_consumers()
        consumer = list(system.processes.values())[0].pid
        before = processes.memory([consumer], "VmRSS")
        system.start_producer()
        system.insert(1, n)
        leased = "SELECT count(*) FROM code_reviews WHERE lease_owner IS NOT NULL AND dispatched_at IS NULL"
        system.wait(lambda: system.session.query(leased) == [str(n)], 60, f"{n} reviews were never in preparation together", every=.1)
        time.sleep(1)
        during = {key: processes.memory([consumer], name) for key, name in (("rss", "VmRSS"), ("pss", "Pss"))}
        system.wait(lambda: system.number("count(*)", "dispatched_at IS NOT NULL") == n, LIMIT, "not all reviews were dispatched")
        peak = processes.memory([consumer], "VmHWM")
        system.stop()
        return dict(rss_idle=before, **during, rss_peak=peak, once=system.dispatched_once(n, system.posts()))


def idlecpu(nginx, options):
    """CPU of each role, and of the servers with and without them, while nothing happens."""
    roles = [role for role in ("PRODUCE", "CONSUME", "REAP", "SERVE") if command(role)]
    with System(nginx) as system:
        def percent():
            pids = {name: process.pid for name, process in system.processes.items()}
            pids |= {name: servers.pid(name, nginx) for name in ("postgres", "rabbitmq")}
            before = {name: processes.cpu([pid]) for name, pid in pids.items()}
            time.sleep(options.seconds)
            return {name: 100 * (processes.cpu([pid]) - before[name]) / options.seconds for name, pid in pids.items()}

        without = percent()
        for role in roles:
            system.spawn(role)
        settled = time.monotonic() + 5
        system.wait(lambda: time.monotonic() > settled, 10, "the roles did not settle")
        used = percent()
        for name, process in system.processes.items():
            yield name, dict(cpu=used[name], rss=processes.memory([process.pid], "VmRSS"), pss=processes.memory([process.pid], "Pss"))
        for name in ("postgres", "rabbitmq"):
            yield name, dict(cpu=used[name], without=without[name])


GROWTH = [("figure", "median", ".1f"), ("low", "lowest", ".1f"), ("high", "highest", ".1f"), ("first", "first", ".1f")]

# The columns: a figure's name, its heading, its format.
ALL = {
    "twenty": (twenty, [("last_post", "last POST, s", ".2f"), ("slowest_alone", "slowest alone, s", ".2f"),
                        ("one_after_another", "one after another, s", ".0f"), ("pulls_asked", "pull requests read", ".0f")]),
    "prepare": (prepare, [
        ("requests", "requests a review", ".2f"), ("tokens", "token requests", ".0f"), ("last_post", "last POST, s", ".2f"),
        ("ratio", "of the cold one", ".2f")]),
    "idle": (idle, [("median_ms", "median, ms", ".1f"), ("p95_ms", "p95, ms", ".1f")]),
    "refill": (refill, [("median_ms", "median, ms", ".1f"), ("p99_ms", "p99, ms", ".1f"), ("callback_ms", "callback itself, ms", ".1f")]),
    "throughput": (throughput, [
        ("rate", "reviews/s", ".0f"), ("cpu", "CPU s/1000", ".3f"), ("postgres", "Postgres", ".3f"), ("rabbitmq", "RabbitMQ", ".3f"),
        ("nginx", "nginx", ".3f"), ("wal", "WAL, B/review", ".0f"), ("disk", "disk, B/review", ".0f"), ("rss", "peak RSS, MiB", ".0f"), ("pss", "PSS, MiB", ".0f"),
        ("idle", "idle %", ".0f"), ("steal", "steal %", ".1f")]),
    "claim": (claim, [
        ("claimed", "claimed/s", ".0f"), ("confirmed", "confirmed/s", ".0f"), ("cpu", "CPU s/1000", ".3f"), ("postgres", "Postgres", ".3f"),
        ("rabbitmq", "RabbitMQ", ".3f"), ("idle", "idle %", ".0f"), ("steal", "steal %", ".1f")]),
    "memory": (memory, [("rss_idle", "RSS idle, MiB", ".1f"), ("rss", "RSS, MiB", ".1f"), ("pss", "PSS, MiB", ".1f"), ("rss_peak", "peak RSS, MiB", ".1f")]),
    "growth": (growth, GROWTH),
    "owners": (owners, GROWTH),
    "idlecpu": (idlecpu, [("cpu", "CPU, % of a core", ".2f"), ("without", "without Baton", ".2f"), ("rss", "RSS, MiB", ".1f"), ("pss", "PSS, MiB", ".1f")]),
}

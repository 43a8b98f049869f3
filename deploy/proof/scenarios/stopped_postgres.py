"""Sixty reviews are leased by living consumers, and Postgres stands still for 20 s; once more, and the consumers' connections are cut
when it goes on, as by a failover. Promised: no lease counts as lost."""
import os
import signal
import time

import postgres
from harness import until
from system import DATABASE, System

LEASES, ROUNDS = 60, 3


def run(options):
    for is_cut in (False, True):
        # Which process is first after the pause is a matter of chance.
        rounds = [measure(is_cut, options) for _ in range(ROUNDS)]
        total = {key: sum(figures[key] for figures in rounds) for key in ("counted_as_lost", "started_twice", "failed")}
        yield dict(
            consumers_cut=is_cut, stopped_s=options.seconds or 20, leases=f"{LEASES} in each of {ROUNDS} rounds",
            lost_by_round=", ".join(str(figures["counted_as_lost"]) for figures in rounds), **total,
            ended_after_s=max(figures["ended_after_s"] for figures in rounds), promised=not any(total.values()))


def measure(is_cut, options):
    consumers, reapers = options.consumers or 2, options.reapers or 2
    # Preparation takes 4 to 9 s: it ends while Postgres stands still.
    with System("stopped-postgres", options.executable, lambda number: 4 + 5 * number / LEASES) as system:
        system.add_owners([1000])
        system.start("consume", consumers, "--prefetch", str(LEASES // consumers), apart=1)
        system.start("reap", reapers, "--interval", "2s", apart=1)
        system.start("produce")
        system.start("serve")
        system.insert([(number, "o0") for number in range(1, LEASES + 1)])
        until("all are leased", lambda: system.count("lease_owner IS NOT NULL") == LEASES)
        time.sleep(0.5)
        backends = consumer_backends()
        # The process handles the signal when it goes on.
        postgres.stand_still(options.seconds or 20, lambda: [os.kill(pid, signal.SIGTERM) for pid in backends if is_cut])
        at = time.monotonic()
        until("all have ended", lambda: system.count("completed_at IS NOT NULL") == LEASES, options.limit)
        posts = [(entry["review"], entry["attempt"]) for entry in system.worker_entries() if entry["what"] == "post"]
        return dict(
            counted_as_lost=system.count("lease_losses > 0 OR republish_count > 0"), started_twice=len(posts) - len(set(posts)),
            failed=system.count("status = 'failed'"), ended_after_s=round(time.monotonic() - at, 1))


def consumer_backends():
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'baton consume%'"
    return [int(row[0]) for row in postgres.query(sql, DATABASE)]

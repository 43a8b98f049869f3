"""Another program's transaction locks one review's row for 60 s: once while its ticket waits, once while it is prepared. Promised: the
others do not notice it, 2 s at most from insert to POST."""
import threading
import time

import postgres
from figures import percentile
from harness import until
from system import DATABASE, System

RATE = 8  # reviews a second


def run(options):
    for moment in ("before its lease", "while it is prepared"):
        yield measure(moment, options)


def measure(moment, options):
    seconds, consumers, reapers = options.seconds or 60, options.consumers or 3, options.reapers or 2
    with System("locked-row", options.executable, lambda number: 3 if number == 1 else 0.1) as system:
        system.add_owners([100_000])
        system.start("produce")
        system.start("reap", reapers, "--interval", "2s")
        system.start("serve")
        with postgres.Session(DATABASE) as stranger:
            if moment == "before its lease":
                system.insert([(1, "o0")])
                until("its ticket is published", lambda: system.count("published_at IS NOT NULL"))
                stranger.query("BEGIN; SELECT id FROM code_reviews FOR UPDATE")
                system.start("consume", consumers, "--prefetch", "40")
            else:
                system.start("consume", consumers, "--prefetch", "40")
                system.insert([(1, "o0")])
                until("it is prepared", lambda: system.count("lease_owner IS NOT NULL"))
                stranger.query("BEGIN; SELECT id FROM code_reviews FOR UPDATE")
            inserted, heartbeat = load(system, seconds)
            stranger.query("ROLLBACK")
        until("all have ended", lambda: system.count("completed_at IS NULL") == 0, options.limit)
        entries = [entry for entry in system.worker_entries() if entry["what"] == "post"]
        posts = {}
        for entry in entries:
            posts.setdefault(entry["review"], entry["at"])
        waits = [posts[review] - at if review in posts else options.limit for review, at in inserted.items()]
        return dict(
            locked=moment, locked_s=seconds, others=len(waits), median_s=round(percentile(waits, 0.5), 2),
            p90_s=round(percentile(waits, 0.9), 2), worst_s=round(max(waits), 2), oldest_heartbeat_s=round(heartbeat, 1),
            republished=system.count("republish_count > 0 AND pr_number > 1"), started_twice=len(entries) - len(posts),
            failed=system.count("status = 'failed'"), promised=max(waits) <= 2)


def load(system, seconds):
    """Inserts the others; returns when, by their ids, and the oldest heartbeat that was seen of a consumer."""
    inserted, oldest, number, end = {}, 0.0, 1000, time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        at = time.time()
        inserted[system.insert([(number, "o0")])[0]] = at
        rows = system.session.query(
            "SELECT COALESCE(max(extract(epoch FROM now() - heartbeat_at)), 0) FROM baton_holders WHERE role = 'consume'")
        oldest = max(oldest, float(rows[0][0]))
        threading.Event().wait(1 / RATE)
    return inserted, oldest

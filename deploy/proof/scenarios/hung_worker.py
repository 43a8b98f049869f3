"""400 running reviews are silent, the worker hangs, and a producer dies between claim and publish while the reaper asks the worker.
Promised: what the producer had claimed is published again within 15 s."""
import time

import broker
from harness import until
from scenarios import waiting
from system import FIELDS, System

SILENT, CLAIMS = 400, 20


def run(options):
    with System("hung-worker", options.executable) as system:
        system.add_owners([10_000])
        system.session.query(f"""INSERT INTO code_reviews
            ({FIELDS}, status, claimed_at, published_at, dispatched_at, started_at, updated_at)
          SELECT 'org', 'o0', 'github', 'acme/old', g, 'https://github.com/acme/old/pull/' || g, 'Title', 'ann', 'main', 'feature',
                 md5(g::text), 'running', t, t, t, t, t
            FROM generate_series(1, {SILENT}) g, (SELECT now() - interval '1 hour' AS t) old""")
        system.command_worker(mode="hang")
        system.start("reap", options.reapers or 1, "--interval", "2s")
        until("the reaper asks the worker", lambda: any(entry["what"] == "get" for entry in system.worker_entries()))
        producer, = system.start("produce")
        # A broker that stands still takes no publish: the claim is committed, its ticket is not.
        with broker.Frozen():
            system.insert([(number, "o0") for number in range(1001, 1001 + CLAIMS)])
            until("the reviews are claimed", lambda: system.count("pr_number > 1000 AND status = 'queued'") == CLAIMS)
            at = time.time()
            producer.end()
        yield waiting.measure(system, at, options.limit, 15, "pr_number > 1000", dict(silent=SILENT, reapers=options.reapers or 1))

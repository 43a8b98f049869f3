"""Six consumers are busy, fifty tickets wait behind them, and the queue is purged. Promised: all are on their way again within 30 s."""
import time

import broker
from harness import until
from system import QUEUE, System
from scenarios import waiting

TICKETS = 50


def run(options):
    consumers, reapers = options.consumers or 6, options.reapers or 2
    # The consumers' only slot is taken by a review whose preparation takes 9 s.
    with System("purge", options.executable, lambda number: 9 if number <= consumers else 0.05) as system:
        system.add_owners([1000])
        # Apart, so that their heartbeats and passes do not fall together, as they would not on several machines.
        system.start("consume", consumers, "--prefetch", "1", apart=0.5)
        system.start("reap", reapers, "--interval", "2s", apart=1)
        system.start("produce")
        system.start("serve")
        system.insert([(number, "o0") for number in range(1, consumers + 1)])
        until("the consumers are busy", lambda: system.count("lease_owner IS NOT NULL") == consumers)
        system.insert([(number, "o0") for number in range(1001, 1001 + TICKETS)])
        until("the tickets are published", lambda: system.count("published_at IS NOT NULL AND pr_number > 1000") == TICKETS)
        until("the tickets wait", lambda: broker.ready(QUEUE) == TICKETS)
        at = time.time()
        broker.purge(QUEUE)
        yield waiting.measure(system, at, options.limit, 30, "pr_number > 1000", dict(consumers=consumers, reapers=reapers))

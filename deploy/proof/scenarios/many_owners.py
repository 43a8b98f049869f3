"""100,000 owners are at their limit, each with a review that waits. Promised: a free owner's review is with the worker within 50 ms, and
an idle second costs less than 5 ms of Postgres. Next to it stands what the same processes cost while nothing waits: that they live."""
import time

import postgres
from figures import percentile
from harness import say, until
from system import DATABASE, FIELDS, System

INSERTS, IDLE = 30, 30


def run(options):
    postgres.restart_with({"shared_preload_libraries": "'pg_stat_statements'"})
    with System("many-owners", options.executable) as system:
        system.session.query("CREATE EXTENSION pg_stat_statements")
        system.start("produce", 2)
        system.start("consume", options.consumers or 2)
        system.start("reap", options.reapers or 1, "--interval", "2s")
        time.sleep(10)
        empty = measure_idle(system)
        fill(system, options.many)
        until("every owner is known to be at its limit", lambda: not system.session.query("SELECT 1 FROM baton_visits LIMIT 1"), options.limit)
        postgres.query("VACUUM ANALYZE", DATABASE)
        time.sleep(10)
        idle = measure_idle(system)
        waits = measure_inserts(system, options.limit)
        median, worst = percentile(waits, 0.5), max(waits)
        yield dict(
            owners=options.many, **{f"empty_{name}": value for name, value in empty.items() if name != "most_costly"}, **idle,
            insert_to_post_median_ms=round(median * 1000), p95_ms=round(percentile(waits, 0.95) * 1000),
            worst_ms=round(worst * 1000), promised=median <= 0.05 and idle["postgres_cpu_ms_per_idle_second"] < 5)


def fill(system, many):
    """Through the triggers, as an application would: whatever Baton counts for itself has to be right."""
    say(f"inserting {many} owners, each with a running and a pending review")
    system.session.query(f"""INSERT INTO review_owners (owner_type, owner_id, max_concurrent)
                             SELECT 'org', 'm' || g, 1 FROM generate_series(1, {many}) g""")
    for status, more in (("running", ", now(), now(), now(), now()"), ("pending", ", NULL, NULL, NULL, NULL")):
        system.session.query(f"""INSERT INTO code_reviews ({FIELDS}, status, claimed_at, published_at, dispatched_at, started_at)
          SELECT 'org', 'm' || g, 'github', 'acme/{status}', g, 'https://github.com/acme/shop/pull/' || g, 'Title', 'ann',
                 'main', 'feature', md5(g::text), '{status}'{more} FROM generate_series(1, {many}) g""")
    system.add_owners([1000])


def measure_idle(system):
    """Nothing can move. Time in statements, by pg_stat_statements, and processor time of all of Postgres's processes."""
    system.session.query("SELECT pg_stat_statements_reset()")
    before, began = postgres.cpu_seconds(), time.monotonic()
    time.sleep(IDLE)
    seconds = time.monotonic() - began
    cpu = (postgres.cpu_seconds() - before) / seconds
    rows = system.session.query("""SELECT sum(total_exec_time + total_plan_time), sum(calls) FROM pg_stat_statements
                                   WHERE query NOT LIKE '%pg_stat_statements%'""")
    top = system.session.query("""SELECT substring(query FROM 'baton:[a-z_]+'), round(total_exec_time::numeric), calls
                                  FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 5""")
    return dict(
        postgres_cpu_ms_per_idle_second=round(cpu * 1000, 1), statement_ms_per_idle_second=round(float(rows[0][0]) / seconds, 1),
        statements_per_idle_second=round(float(rows[0][1]) / seconds, 1),
        most_costly="; ".join(f"{name} {ms} ms in {calls} calls" for name, ms, calls in top))


def measure_inserts(system, limit):
    """One review after another, each inserted after the POST of the one before."""
    waits, end = [], time.monotonic() + limit
    for number in range(1_000_001, 1_000_001 + INSERTS):
        time.sleep(0.2)
        at = time.time()
        review, = system.insert([(number, "o0")])
        posted = until("the free owner's review is with the worker", lambda: post(system, review), end - time.monotonic(), every=0.02)
        waits.append(posted - at)
    return waits


def post(system, review):
    return next((entry["at"] for entry in system.worker_entries() if entry["what"] == "post" and entry["review"] == review), None)

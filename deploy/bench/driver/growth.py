"""A long history, and many owners: what every page costs, and how fast reviews are claimed and started."""
import contextlib
import http.client
import itertools
import os
import statistics
import subprocess
import time

import servers
from system import FIELDS, System, command

DAYS = 10  # that the history goes back
ROUNDS = 3
FLOOD = 100_000
LIMIT = int(os.environ.get("RUN_TIMEOUT", 300))
PATHS = {
    "/metrics": "metrics", "/api/stats": "stats", "/": "overview", "/api/reviews?limit=50": "list", "/api/reviews?status=failed": "list, failed",
    "/api/reviews?owner=org:nobody": "list of an owner without reviews", "/api/reviews?repo=acme/service-7": "list of a repository",
    "/api/reviews?errorCode=worker_lost": "list of a rare error", "/api/reviews?until=8d": "list, a week ago",
    "/api/reviews?since=9d&until=8d&status=cancelled": "list of a day, cancelled", "/api/reviews?search=parser": "search for a word",
    "/api/reviews?search=zebra": "search for a rare word", "/api/reviews?search=42": "search for a number",
    "/api/reviews?sort=created": "sorted, oldest", "/api/reviews?sort=-ended": "sorted, last ended", "/api/reviews?sort=ended": "sorted, first ended",
    "/api/reviews?sort=due": "sorted, due", "/api/reviews?sort=priority": "sorted, priority", "/api/deliveries": "deliveries",
    "/api/deliveries?owner=org:nobody": "deliveries of an owner without any", "/api/deliveries?repo=acme/service-7": "deliveries of a repository",
    "/api/owners": "owners", "/api/worker-versions": "worker versions", "/reviews": "page of reviews",
    "/reviews?status=failed": "page of failed reviews", "/reviews?search=zebra": "page of a search", "/deliveries": "page of deliveries",
}


def fill(system, rows):
    """Ended reviews, one after another over ten days, with their transitions of the last day; written without triggers and indexes, which are
    made afterwards. Deliveries: a twentieth as many."""
    query = system.session.query
    indexes = [row.split("|", 1) for row in query(r"""SELECT i.indexrelid::regclass, replace(pg_get_indexdef(i.indexrelid), E'\n', ' ') FROM pg_index i
      WHERE i.indrelid = 'code_reviews'::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)""")]
    constraints = [row.split("|") for row in query("""SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE conrelid = 'code_reviews'::regclass AND contype IN ('p', 'u')""")]
    for name, _ in indexes:
        query(f"DROP INDEX {name}")
    for name, _ in constraints:
        query(f"ALTER TABLE code_reviews DROP CONSTRAINT {name}")
    query(f"""SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '1GB';
      INSERT INTO review_owners (owner_type, owner_id) SELECT 'org', 'o' || g FROM generate_series(0, 999) g ON CONFLICT DO NOTHING;
      INSERT INTO code_reviews ({FIELDS}, status, status_reason, created_at, available_at, claimed_at, published_at, dispatched_at, started_at,
        completed_at, updated_at, error_code, error_message, session_id, agent_version, model, total_tokens_in, platform_repository_id, traceparent)
      SELECT 'org', 'o' || g % 1000, 'github', 'acme/service-' || g % 5000, g / 5000 + 1, 'https://github.com/acme/service/pull/' || g,
        'Repair the parser of part ' || g, 'ann' || g % 300, 'main', 'feature/' || g, md5(g::text) || '00000000', s, 'reported by the worker',
        t, t, t, t, t, t, t + interval '90 s', t + interval '90 s', CASE s WHEN 'failed' THEN 'agent_failed' END, NULL, 'ses_' || md5('s' || g),
        'v' || g * 20 / {rows}, 'm', 20000, 1000000 + g % 5000, '00-' || md5(g::text) || '-' || left(md5(g::text), 16) || '-01'
        FROM generate_series(1, {rows}) g,
             LATERAL (SELECT now() - make_interval(secs => ({rows} - g) * {DAYS * 86400 / rows}::float8) AS t,
                             CASE WHEN g % 20 < 17 THEN 'completed' WHEN g % 20 < 19 THEN 'failed' ELSE 'cancelled' END AS s) x;
      INSERT INTO review_transitions (review_id, at, from_status, to_status, reason, actor)
      SELECT r.id, r.created_at + make_interval(secs => k.after), k.was, COALESCE(k.became, r.status), 'x', 'baton'
        FROM code_reviews r
       CROSS JOIN (VALUES (0, NULL, 'pending'), (1, 'pending', 'queued'), (2, 'queued', 'running'), (90, 'running', NULL)) k (after, was, became)
       WHERE r.created_at > now() - interval '1 day'
       ORDER BY 2;
      INSERT INTO webhook_deliveries (platform, delivery_id, event, payload, received_at, processed_at, outcome, about_repository, about_number)
      SELECT 'github', 'd' || g, 'pull_request', '{{}}', now() - make_interval(secs => g * 5), now(), 'a new review', 'acme/service-' || g % 5000, g
        FROM generate_series(1, {rows // 20}) g;
      INSERT INTO baton_counts (what, label, shard, count) SELECT 'rows', status, 16, count(*) FROM code_reviews GROUP BY status
      ON CONFLICT (what, label, shard) DO UPDATE SET count = EXCLUDED.count""")
    for name, definition in constraints:
        query(f"ALTER TABLE code_reviews ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        query(definition)
    query("RESET session_replication_role; RESET synchronous_commit")
    query("VACUUM")
    query("CHECKPOINT")


@contextlib.contextmanager
def stale_statistics(system):
    """The planner goes on with the statistics of the short history, until the context ends."""
    for state in ("off", "on"):
        for table in ("code_reviews", "review_transitions", "webhook_deliveries", "baton_visits"):
            system.session.query(f"ALTER TABLE {table} SET (autovacuum_enabled = {state})")
        if state == "off":
            yield
    system.session.query("VACUUM ANALYZE")
    system.session.query("CHECKPOINT")


@contextlib.contextmanager
def held_xmin(system, count):
    """A transaction that stays open: nothing that was deleted or changed since can be cleaned up. Ten times the reviews of a round pass first, and
    leave behind what an hour of 55 reviews a second would."""
    with servers.Session(system.name) as session:
        session.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM review_owners")
        system.spawn("PRODUCE")
        claim_rate(system, 10 * count)
        system.stop()
        yield
        session.query("ROLLBACK")


def claim_rate(system, count):
    """Reviews claimed a second. They end afterwards, so that each round begins as the one before did."""
    first = int(system.number("COALESCE(max(pr_number), 0)", "repo_full_name LIKE 'acme/repo%'")) + 1
    system.insert(first, first + count - 1)
    mine = f"repo_full_name LIKE 'acme/repo%' AND pr_number >= {first} AND status IN ('pending', 'queued')"
    waiting = f"SELECT count(*) FROM code_reviews WHERE {mine} AND published_at IS NULL"
    system.wait(lambda: system.session.query(waiting) == ["0"], LIMIT, "not all reviews were published")
    seconds = system.number("extract(epoch FROM max(claimed_at) - min(claimed_at))", mine)
    end_all(system, mine)
    return count / max(seconds, 0.001)  # fewer than a thousand are one pass


def end_all(system, mine):
    """Without triggers: two hundred thousand ends in one transaction are no load that there is. Their feedback is delivered."""
    system.session.query(f"""SET session_replication_role = replica;
      UPDATE code_reviews SET status = 'cancelled', completed_at = now() WHERE {mine};
      DELETE FROM baton_feedback;
      RESET session_replication_role""")


def round_of(options):
    return options.n or 20_000


def claims(system, options, label):
    """Rates of some rounds of 20,000 reviews, one after another."""
    system.spawn("PRODUCE")
    time.sleep(2)
    rates = [claim_rate(system, round_of(options)) for _ in range(ROUNDS)]
    system.stop()
    return label, dict(figure=statistics.median(rates), low=min(rates), high=max(rates))


def page_times(system, state=""):
    """Milliseconds of each page of the server, by its name and the state: of the answers after the first one, which connects."""
    system.start_server()
    connection = http.client.HTTPConnection("127.0.0.1", int(system.environment["BATON_HTTP_PORT"]), timeout=60)
    headers = {"Authorization": "Bearer " + system.environment["BATON_API_TOKEN"]}
    for path, label in PATHS.items():
        times = []
        for _ in range(6):
            time.sleep(1.1)  # figures that the server remembers for a second are read anew
            began = time.monotonic()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            times.append((time.monotonic() - began) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"GET {path} was answered with {answer.status}: see .local/bench.log")
        yield f"{label}{state}, ms", dict(figure=statistics.median(times[1:]), low=min(times[1:]), high=max(times[1:]), first=times[0])
    system.stop()


def command_times(system, state=""):
    program = command("SERVE").split()[0]
    for arguments in (["queue", "--json"], ["health"], ["list"]):
        times = []
        for _ in range(6):
            began = time.monotonic()
            subprocess.run([program, *arguments], env=system.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append((time.monotonic() - began) * 1000)
        yield f"baton {arguments[0]}{state}, ms", dict(figure=statistics.median(times[1:]), low=min(times[1:]), high=max(times[1:]), first=times[0])


def response_times(system, state=""):
    yield from page_times(system, state)
    yield from command_times(system, state)


def growth(nginx, options):
    """A history of --rows ended reviews: claims a second with a short history, with this one, with statistics of the short one, and while a
    transaction holds back the clean-up; milliseconds of each page and command in the last two states."""
    with System(nginx) as system:
        system.start_server()
        system.stop()
        yield claims(system, options, "claims a second, short history")
        with held_xmin(system, round_of(options)):
            yield claims(system, options, "the same while clean-up is held back")
        with stale_statistics(system):
            fill(system, options.rows)
            yield claims(system, options, "claims a second, long history, stale statistics")
        yield claims(system, options, "claims a second, long history")
        yield from response_times(system)
        with held_xmin(system, round_of(options)):
            yield claims(system, options, "the same with clean-up held back")
            yield from response_times(system, ", clean-up held back")


def owners(nginx, options):
    """--owners owners, a fifth of them at their limit with a review that waits. Milliseconds from the insert of another owner's first review to its
    POST: alone, and after one owner has inserted a hundred thousand reviews at once, with 20 slots and without a limit."""
    with System(nginx) as system:
        # The limits that an operator has.
        system.environment |= dict(BATON_OWNER_LIMIT="20", BATON_MAX_QUEUE_DEPTH="1000")
        query, full, numbers = system.session.query, options.owners // 5, itertools.count(10**6, 10**6)
        query(f"""INSERT INTO review_owners (owner_type, owner_id, max_concurrent)
          SELECT 'org', 'm' || g, CASE WHEN g <= {full} THEN 1 END FROM generate_series(1, {options.owners}) g""")
        for status, more in (("running", ", now(), now(), now(), now()"), ("pending", ", NULL, NULL, NULL, NULL")):
            query(f"""INSERT INTO code_reviews ({FIELDS}, status, claimed_at, published_at, dispatched_at, started_at)
              SELECT 'org', 'm' || g, 'github', 'acme/{status}', g, 'https://github.com/acme/shop/pull/' || g, 'Title', 'ann', 'main', 'feature',
                     lpad(g::text, 40, '0'), '{status}'{more} FROM generate_series(1, {full}) g""")
        query("VACUUM ANALYZE")
        system.start_consumers()
        system.start_producer()
        time.sleep(3)

        def insert(owner, count):
            first = next(numbers)
            return query(f"""INSERT INTO code_reviews ({FIELDS})
              SELECT 'org', '{owner}', 'github', 'acme/repo', g, 'https://github.com/acme/repo/pull/' || g, 'Title', 'ann', 'main', 'feature',
                     lpad(g::text, 40, '0') FROM generate_series({first}, {first} + {count} - 1) g RETURNING id""")

        for label, slots in (("alone", None), ("flood, 20 slots", 20), ("flood, no limit", 10**6)):
            if slots:
                query(f"INSERT INTO review_owners (owner_type, owner_id, max_concurrent) VALUES ('org', 'flood{slots}', {slots})")
                insert(f"flood{slots}", FLOOD)
            before, began = nginx.post_count(), {}
            for number in range(options.n or 30):
                time.sleep(.1)
                at = time.time()
                began[insert(f"new-{label}-{number}", 1)[0]] = at
            system.wait(lambda: began.keys() <= {key.split("/")[0] for _, key in nginx.posts(before)}, LIMIT, "not all newcomers were posted")
            posted = {key.split("/")[0]: at for at, key in reversed(nginx.posts(before))}
            waits = [(posted[review] - at) * 1000 for review, at in began.items()]
            yield f"newcomer, {label}, ms", dict(figure=statistics.median(waits), low=min(waits), high=max(waits), first=waits[0])

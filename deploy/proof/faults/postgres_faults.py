"""Faults of PostgreSQL, and of other programs that use it."""
import os
import signal

import postgres
from faults.kind import RETURN, Kind
from system import ACCOUNT, DATABASE


def cut_postgres(_, __, strength):
    rows = postgres.query(f"""SELECT setseed({strength}); SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
      WHERE datname = '{DATABASE}' AND application_name LIKE 'baton %' AND random() < 0.5""")
    return dict(connections=int(rows[-1][0]))


def crash_backend(_, where, __):
    """kill -9 of one server process, as by the kernel when memory runs out: Postgres ends all of them, and recovers."""
    pids = postgres.query(f"SELECT pid FROM pg_stat_activity WHERE datname = '{DATABASE}' AND application_name LIKE 'baton %' ORDER BY pid")
    if not pids:
        return dict(skipped=True)
    os.kill(int(pids[int(where * len(pids))][0]), signal.SIGKILL)
    postgres.patiently(lambda: postgres.query("SELECT 1"))
    return None


def restart_postgres(_, __, strength):
    postgres.crash_and_start(2 * strength)


def stop_postgres(_, __, strength):
    postgres.stand_still(1 + 19 * strength ** 3)


def lock_row(weather, where, strength):
    return hold_row(weather, where, 0.5 + 7.5 * strength)


def lock_row_for_a_minute(weather, where, _):
    return hold_row(weather, where, 60)


def hold_row(weather, where, seconds):
    with postgres.Session(DATABASE) as session:
        rows = session.query(f"""BEGIN; SELECT setseed({where}); SELECT id FROM code_reviews
          WHERE status IN ('pending', 'queued') ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED""")
        if len(rows) > 1:
            weather.is_over.wait(seconds)
        return dict(review=rows[-1][0])


def lock_table(weather, _, strength):
    """As a migration of the application does it."""
    with postgres.Session(DATABASE) as session:
        session.query("BEGIN; SET LOCAL lock_timeout = '10s'; LOCK TABLE code_reviews IN ACCESS EXCLUSIVE MODE")
        weather.is_over.wait(0.5 + 7 * strength)


def read_only(weather, _, strength):
    try:
        postgres.set_parameter("default_transaction_read_only", "on")
        weather.is_over.wait(1 + 7 * strength)
    finally:
        postgres.set_parameter("default_transaction_read_only", "off")


def connection_limit(weather, where, strength):
    """Half of the sessions end, and only three may come back."""
    try:
        postgres.query(f"ALTER ROLE {ACCOUNT} CONNECTION LIMIT 3")
        cut = cut_postgres(weather, where, where)
        weather.is_over.wait(2 + 8 * strength)
        return cut
    finally:
        postgres.query(f"ALTER ROLE {ACCOUNT} CONNECTION LIMIT -1")


def hold_xmin(weather, _, strength):
    """A transaction that was forgotten: nothing that dies after it began can be cleaned up."""
    with postgres.Session(DATABASE) as session:
        session.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM review_owners")
        weather.is_over.wait(20 + 70 * strength)


KINDS = {
    "cut-postgres": Kind(9, cut_postgres, promise=RETURN),
    "crash-backend": Kind(2, crash_backend, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "restart-postgres": Kind(2, restart_postgres, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "stop-postgres": Kind(3, stop_postgres, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "lock-row": Kind(8, lock_row, hides_answers=True),
    "lock-row-for-a-minute": Kind(1, lock_row_for_a_minute, hides_answers=True, is_background=True),
    "lock-table": Kind(2, lock_table, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "read-only": Kind(2, read_only, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "connection-limit": Kind(2, connection_limit, place="postgres", holds=True, hides_answers=True, promise=RETURN),
    "hold-xmin": Kind(1, hold_xmin, place="xmin", is_background=True),
}

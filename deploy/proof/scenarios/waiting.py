"""Waits until reviews whose tickets or claims are gone are on their way again: published anew, leased, or further."""
import time

from figures import percentile


def measure(system, at, limit, promised, condition, figures):
    """`at`: when the fault came. A review moved on if its claim is newer and published, or it is leased or past queued."""
    moved, total = {}, system.count(condition)
    while len(moved) < total and time.time() - at < limit:
        for row in system.session.query(f"""SELECT id FROM code_reviews r WHERE {condition}
              AND (r.claimed_at > to_timestamp({at}) AND r.published_at IS NOT NULL
                   OR r.lease_owner IS NOT NULL OR r.dispatched_at IS NOT NULL OR r.status NOT IN ('pending', 'queued'))"""):
            moved.setdefault(row[0], time.time() - at)
        time.sleep(0.05)
    times = [*moved.values(), *[limit] * (total - len(moved))]
    return dict(
        **figures, reviews=total, first_s=round(min(times), 1), median_s=round(percentile(times, 0.5), 1), last_s=round(max(times), 1),
        not_within_limit=total - len(moved), promised_s=promised, promised=max(times) <= promised)

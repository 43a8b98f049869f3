"""What a process held when it was killed or stopped, and how long each of these reviews needed to be on its way again."""
import threading
import time

import postgres
from system import DATABASE

# Read right after the kill. A holder has a lease until its dispatch is recorded, and a claim until its publish is.
HANDS = """
  SELECT r.id, r.attempt, CASE WHEN r.lease_owner = h.id THEN 'lease' ELSE 'claim' END, h.id, r.claimed_at
    FROM baton_holders h
    JOIN code_reviews r
      ON r.status = 'queued' AND r.dispatched_at IS NULL
     AND (r.lease_owner = h.id
          OR r.claimed_by = h.id AND r.lease_owner IS NULL AND r.lease_expires_at IS NULL AND r.published_at IS NULL)
   WHERE h.pid = {pid}
"""
# Moved on: claimed anew and published, leased by another holder, back to pending, or past queued.
MOVED = """
  SELECT v.n
    FROM (VALUES {values}) AS v (n, id, kind, holder, claimed_at)
    JOIN code_reviews r ON r.id = v.id::uuid
   WHERE r.status <> 'queued' OR r.dispatched_at IS NOT NULL OR r.lease_owner <> v.holder
      OR r.published_at IS NOT NULL AND (v.kind = 'claim' OR r.claimed_at <> v.claimed_at::timestamptz)
"""


class Recovery:
    def __init__(self):
        self.samples, self.lock, self.is_over = [], threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def lost(self, label, pid, at, fault):
        """Notes what the process had; returns how many reviews that was."""
        rows = postgres.patiently(lambda: postgres.query(HANDS.format(pid=pid), DATABASE))
        samples = [dict(role=label, fault=fault, killed=at, review=review, attempt=int(attempt), kind=kind, holder=holder, claimed_at=claimed_at)
                   for review, attempt, kind, holder, claimed_at in rows]
        with self.lock:
            self.samples += samples
        return len(samples)

    def watch(self):
        """Looks ten times a second which of them have moved on."""
        with postgres.Session(DATABASE) as session:
            while not self.is_over.wait(0.1):
                with self.lock:
                    still = [(number, sample) for number, sample in enumerate(self.samples) if "moved" not in sample]
                if still:
                    values = ", ".join(
                        f"({n}, '{s['review']}', '{s['kind']}', '{s['holder']}', '{s['claimed_at']}')" for n, s in still)
                    at = time.time()
                    try:
                        for row in session.query(MOVED.format(values=values)):
                            self.samples[int(row[0])]["moved"] = at
                    except RuntimeError:
                        continue

    def stop(self):
        self.is_over.set()
        self.thread.join()


def complete(samples, posts, ends):
    """Adds to each sample when it came to an end: the next POST, or what made a POST unnecessary.

    `posts`: {(review, attempt): [(time, sender)]}; `ends`: {review: [time]} of records and reports after which no POST is needed.
    """
    for sample in samples:
        key = (sample["review"], sample["attempt"])
        later = [at for at, sender in posts.get(key, []) if at > sample["killed"] and sender != sample["role"]]
        over = [at for at in ends.get(sample["review"], []) if at > sample["killed"]]
        sample["end"] = min(later + over, default=None)
        sample["by"] = None if sample["end"] is None else "POST" if sample["end"] in later else "no POST needed"

"""Evaluates a run: lost, started twice, over capacity, ended by itself, and the times of recovery."""
import collections
import math

from weather import OUTAGES

UNDISTURBED = 1.0  # seconds after a 202 in which a process that was left alone records it


def lost(session):
    """Reviews that have not ended."""
    return [dict(review=row[0], status=row[1], reason=row[2]) for row in session.query(
        "SELECT id, status, status_reason FROM code_reviews WHERE status IN ('pending', 'queued', 'running') ORDER BY pr_number")]


def failed(session):
    """How many reviews failed, by code: the worker rejects none."""
    return {row[0]: int(row[1]) for row in session.query(
        "SELECT COALESCE(error_code, status), count(*) FROM code_reviews WHERE status IN ('failed', 'cancelled') GROUP BY 1 ORDER BY 1")}


def over_capacity(session):
    """By how much an owner's queued and running reviews exceeded its limit, at most. The numbers of transitions stand in the order in
    which the changes could be seen: a claim that counts on a slot draws its number after the one that freed it."""
    return int(session.query("""
      SELECT COALESCE(max(s.active - o.max_concurrent), 0)
        FROM (SELECT r.owner_type, r.owner_id,
                     sum((t.to_status IN ('queued', 'running'))::int - COALESCE(t.from_status IN ('queued', 'running'), false)::int)
                       OVER (PARTITION BY r.owner_type, r.owner_id ORDER BY t.id) AS active
                FROM review_transitions t
                JOIN code_reviews r ON r.id = t.review_id) s
        JOIN review_owners o USING (owner_type, owner_id)""")[0][0])


def ends(session):
    """When each review came to a state in which no POST is needed: recorded as dispatched, running, or ended."""
    found = collections.defaultdict(list)
    for review, at in session.query("""
          SELECT id, extract(epoch FROM dispatched_at) FROM code_reviews WHERE dispatched_at IS NOT NULL
          UNION ALL
          SELECT review_id, extract(epoch FROM at) FROM review_transitions
           WHERE to_status IN ('running', 'completed', 'failed', 'cancelled')"""):
        found[review].append(float(at))
    return found


def second_starts(entries, faults):
    """Every run after the first of the same review and attempt, with what Baton could know.

    known      the first POST was answered with 202, and its sender lived undisturbed for a second after that
    not asked  Baton could not know, but sent no GET in between, although the worker would have answered
    unknown    neither
    """
    posts, answers, gets, found = collections.defaultdict(list), {}, collections.defaultdict(list), []
    for entry in entries:
        if entry["what"] == "post" and entry["starts"]:
            posts[entry["review"], entry["attempt"]].append(entry)
        elif entry["what"] == "answer" and entry["status"] == 202:
            answers[entry["post"]] = entry["at"]
        elif entry["what"] == "get" and entry["mode"] == "fine":
            gets[entry["review"]].append(entry["at"])
    for (review, attempt), runs in posts.items():
        for before, after in zip(runs, runs[1:]):
            answered = answers.get(before["post"])
            could_know = answered is not None and not is_disturbed(before, answered + UNDISTURBED, faults)
            asked = any(before["at"] < at < after["at"] for at in gets[review])
            found.append(dict(
                review=review, attempt=attempt, first=before["at"], second=after["at"], senders=[before["sender"], after["sender"]],
                answered=answered, knowledge="known" if could_know else "unknown" if asked else "not asked"))
    return found


def is_disturbed(post, until, faults):
    """Whether the harness kept the sender from recording the answer: by its end, its pause, or what it did to Postgres or this row."""
    for fault in faults:
        name, begins, over = fault["fault"], fault.get("killed", fault["at"]), fault.get("end", math.inf)
        hits = (name in ("kill", "pause") and fault.get("target") == post["sender"] or name == "stop-postgres"
                or name == "lock-row" and fault.get("review") == post["review"])
        if hits and begins < until and over > post["at"]:
            return True
    return False


def handed_back(session):
    """When each review went back to pending: the worker was out, or a broker took no ticket. It then waits for a slot of its owner."""
    found = collections.defaultdict(list)
    for review, at in session.query("SELECT review_id, extract(epoch FROM at) FROM review_transitions WHERE to_status = 'pending'"):
        found[review].append(float(at))
    return found


def on_the_way(session, entries):
    """Seconds from each review's first claim to its first POST. It shows the tickets that were lost without a kill."""
    posts = {}
    for entry in entries:
        if entry["what"] == "post":
            posts.setdefault(entry["review"], entry["at"])
    claims = session.query("SELECT review_id, extract(epoch FROM min(at)) FROM review_transitions WHERE to_status = 'queued' GROUP BY 1")
    return {review: round(posts[review] - float(at), 3) for review, at in claims if review in posts}


def posts_by_review(entries):
    found = collections.defaultdict(list)
    for entry in entries:
        if entry["what"] == "post":
            found[entry["review"], entry["attempt"]].append((entry["at"], entry["sender"]))
    return found


def outage_within(sample, faults):
    """Seconds of a sample's time in which the harness itself held the worker, Postgres, the broker or this very row."""
    spans = sorted(
        (max(fault["at"], sample["killed"]), min(fault.get("end", math.inf), sample["end"])) for fault in faults
        if fault["fault"] in OUTAGES or fault["fault"] == "lock-row" and fault.get("review") == sample["review"])
    total, reached = 0.0, sample["killed"]
    for begin, end in spans:
        begin = max(begin, reached)
        if end > begin:
            total, reached = total + end - begin, end
    return total


def overlapping(sample, faults):
    """The classes of the other faults that lasted or came within a sample's time. Its own kill is not one of them."""
    return {fault["fault"] for fault in faults if not fault.get("skipped") and fault.get("killed") != sample["killed"]
            and fault["at"] < sample["end"] and fault.get("end", math.inf) > sample["killed"]}


def judge(samples, faults, returns):
    """Adds each sample's times: raw, without the harness's own outages, and until it had moved on; whether the next process that had
    the review in its hands was killed too; and whether the review was handed back."""
    kills = collections.defaultdict(list)
    for sample in samples:
        kills[sample["review"]].append(sample["killed"])
    for sample in samples:
        if sample["end"] is None:
            continue
        sample["seconds"] = sample["end"] - sample["killed"]
        sample["without_outages"] = sample["seconds"] - outage_within(sample, faults)
        sample["until_moved"] = max(0.0, sample["moved"] - sample["killed"]) if "moved" in sample else None
        sample["again"] = any(sample["killed"] < killed < sample["end"] for killed in kills[sample["review"]])
        sample["handed_back"] = any(sample["killed"] < at < sample["end"] for at in returns[sample["review"]])
        sample["with"] = sorted(overlapping(sample, faults))

"""Evaluates a run: lost, started twice, over capacity."""
import collections
import math

from faults import HIDE_ANSWERS, KILLS

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


def over_capacity_at_worker(entries, owners, limits):
    """The same by the worker's own record: how many runs of an owner were going on at once, less its limit. A second run of an attempt is
    counted by second_starts."""
    begun, ended, starts = set(), {entry["post"]: entry["at"] for entry in entries if entry["what"] == "end"}, []
    for entry in entries:
        if entry["what"] == "post" and entry["starts"] and (key := (entry["review"], entry["attempt"])) not in begun:
            begun.add(key)
            owner = owners[entry["review"]]
            starts += [(entry["at"], 1, owner), (ended.get(entry["post"], math.inf), -1, owner)]
    running, most = collections.Counter(), 0
    for _, change, owner in sorted(starts, key=lambda start: start[:2]):
        running[owner] += change
        most = max(most, running[owner] - limits[owner])
    return most


def without_a_run(session, entries):
    """Reviews that are completed, although the worker never brought a run of them to its end."""
    posts = {entry["post"]: entry["review"] for entry in entries if entry["what"] == "post"}
    ran = {posts[entry["post"]] for entry in entries if entry["what"] == "end"}
    return [row[0] for row in session.query("SELECT id FROM code_reviews WHERE status = 'completed'") if row[0] not in ran]


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

    A POST can arrive after its sender was killed. Then the other sender had to ask after that kill, before its own POST.
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
            killed = killed_before(after, faults)
            begin, end = (before["at"], after["at"]) if killed is None else (killed, before["at"])
            asked = any(begin < at < end for at in gets[review])
            found.append(dict(
                review=review, attempt=attempt, first=before["at"], second=after["at"], senders=[before["sender"], after["sender"]],
                answered=answered, knowledge="known" if could_know else "unknown" if asked else "not asked"))
    return found


def killed_before(post, faults):
    """When the sender of a POST was killed, if that was before the worker had read it: it was on its way by then."""
    return next((fault["killed"] for fault in faults if fault.get("target") == post["sender"] and fault["fault"] in KILLS
                 and fault["killed"] < post["at"]), None)


def is_disturbed(post, until, faults):
    """Whether the harness kept the sender from recording the answer: by its end, its pause, or what it did to Postgres or this row."""
    for fault in faults:
        name, begins, over = fault["fault"], fault.get("killed", fault["at"]), fault.get("end", math.inf)
        hits = name in HIDE_ANSWERS and not fault.get("skipped") and (
            fault["target"] == post["sender"] if "target" in fault else fault["review"] == post["review"] if "review" in fault
            else fault.get("link", "worker") in ("worker", "postgres"))
        if hits and begins < until and over > post["at"]:
            return True
    return False


def posts_by_review(entries):
    found = collections.defaultdict(list)
    for entry in entries:
        if entry["what"] == "post":
            found[entry["review"], entry["attempt"]].append((entry["at"], entry["sender"]))
    return found

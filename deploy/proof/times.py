"""The times of recovery, and what else went on in each of them."""
import collections
import math

from faults import HANDS, KINDS, OUTAGES


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


def outage_within(sample, faults):
    """Seconds of a sample's time in which the harness itself held the worker, Postgres, the broker or this very row."""
    spans = sorted(
        (max(fault["at"], sample["killed"]), min(fault.get("end", math.inf), sample["end"])) for fault in faults
        if fault["fault"] in OUTAGES or fault.get("review") == sample["review"])
    total, reached = 0.0, sample["killed"]
    for begin, end in spans:
        begin = max(begin, reached)
        if end > begin:
            total, reached = total + end - begin, end
    return total


def overlapping(sample, faults):
    """The classes of the other faults that lasted or came within a sample's time. Its own kill is not one of them."""
    return {fault["fault"] for fault in faults if not fault.get("skipped") and fault.get("killed") != sample["killed"]
            and fault.get("link") != "callbacks"
            and (not KINDS[fault["fault"]].is_background or fault.get("review", "") == sample.get("review"))
            and fault["at"] < sample["end"] and fault.get("end", math.inf) > sample["killed"]}


def company(others):
    """What else went on: nothing, no more than other faults, or a fault that held a server away."""
    return "held" if others & OUTAGES else "others" if others else "alone"


def recovery_by_fault(session, samples, faults, posts, ends):
    """{class: {"alone", "others" or "held": seconds}}: how long a review that had been claimed and not sent when a fault was over still needed
    to be sent. For kills and long pauses, it is what that process had in its hands, from the beginning on."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for sample in samples:
        if sample["end"] is not None:
            found[sample["fault"]][company(set(sample["with"]))].append(round(sample["seconds"], 3))
    flights = in_flight(session, posts, ends)
    for fault in faults:
        if fault["fault"] in HANDS or fault.get("skipped"):
            continue
        waiting = [sent for claimed, sent in flights if claimed < fault["end"] < sent]
        latest = max(waiting, default=0)
        near = [other for other in faults if other is not fault and other["at"] < latest and other["end"] > fault["end"]]
        for sent in waiting:
            others = overlapping(dict(killed=fault["end"], end=sent), near)
            found[fault["fault"]][company(others)].append(round(sent - fault["end"], 3))
    return found


def in_flight(session, posts, ends):
    """(claim, next POST or what made it unnecessary) of each review. What goes back to pending is not on its way any more: it waits for a slot of
    its owner, and its next claim begins anew."""
    sent = collections.defaultdict(list)
    for (review, _), calls in posts.items():
        sent[review] += [at for at, _ in calls]
    for review, times in ends.items():
        sent[review] += times
    moves, found = collections.defaultdict(list), []
    for review, status, at in session.query(
            "SELECT review_id, to_status, extract(epoch FROM at) FROM review_transitions WHERE to_status IN ('queued', 'pending') ORDER BY at"):
        moves[review].append((float(at), status))
    for review, times in moves.items():
        reached = 0.0
        for number, (claimed, status) in enumerate(times):
            back = next((at for at, later in times[number + 1:] if later == "pending"), math.inf)
            if status == "queued" and claimed > reached and (later := [at for at in sent[review] if claimed < at < back]):
                reached = min(later)
                found.append((claimed, reached))
    return found


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
        sample["company"] = company(set(sample["with"]))

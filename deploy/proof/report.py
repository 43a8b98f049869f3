"""`deploy/prove report FILE...`: the tables of one or more results of `faults`, their samples put together."""
import collections
import json

from faults import KINDS
from figures import percentile, print_table, summary

HEADING = ["number", "p50", "p99", "worst", "p99 without outages", "worst", "p99 until moved on", "worst"]
HANDS = {"lease": "leases (consumers)", "claim": "claims (producers, reapers)"}


def add_arguments(parser):
    parser.add_argument("files", nargs="+", metavar="FILE")


def main(options):
    results = []
    for path in options.files:
        with open(path) as file:
            results.append(json.load(file))
    print_results(results)
    return True


def print_results(results):
    for result in results:
        print_verdict(result)
    samples, faults = ([item for result in results for item in result[key]] for key in ("samples", "faults"))
    samples = [sample for sample in samples if sample["end"] is not None]
    print_recovery(samples)
    print("    Every review, from its first claim to its first POST, in seconds:\n")
    waits = [seconds for result in results for seconds in result.get("claim_to_post", {}).values()]
    print_table(HEADING[:4], [summary(waits)])
    print_company([sample for sample in samples if sample["fault"] in ("kill", "terminate-twice")])
    print_by_fault([result["by_fault"] for result in results], faults)
    print_slowest(samples)
    print_totals(results)


def print_verdict(result):
    starts = collections.Counter(start["knowledge"] for start in result["second_starts"])
    drains = [f"{fault['target']}: {fault['status']}" for fault in result["faults"] if fault.get("status")]
    by_themselves = [f"{end['role']}: {end['status']}" for end in result["ended_by_themselves"]]
    print_table([f"seed {result['seed']}", ""], [
        ["faults", len(made(result["faults"]))],
        ["reviews", result["reviews"]],
        ["completed", result["completed"]],
        ["failed or cancelled", ", ".join(f"{code} {number}" for code, number in result["failed"].items()) or 0],
        ["lost (not ended)", first([f"{review['review'][:8]} {review['status']}" for review in result["lost"]])],
        ["completed without a run of the worker", len(result["without_a_run"])],
        ["in a dead process's hands and never recovered", len(result["never_recovered"])],
        ["tickets left, dead letters", f"{result['left_in_queue']}, {result['dead_letters']}"],
        ["all had ended after the last fault, s", round(result["settled"])],
        ["started twice, and Baton knew", starts["known"]],
        ["started twice, and Baton did not ask", starts["not asked"]],
        ["started twice, and Baton could not know", starts["unknown"]],
        ["over an owner's limit by", max(0, result["over_capacity"])],
        ["the same at the worker", max(0, result["over_capacity_at_worker"])],
        ["processes that ended by themselves", ", ".join(by_themselves) or 0],
        ["SIGTERM answered with another status than 0", ", ".join(drains + [f"{k}: {v}" for k, v in result["exits"].items()]) or 0],
        ["faults that could not be made", failures(result["faults"])],
        ["load of the machine before and after", " ".join(f"{load:.1f}" for load in result["load"])],
    ])
    print_table(["in the run", "start", "middle", "end"], [[name, *row] for name, row in result["resources"].items()])


def first(texts):
    """The number of these, and three of them."""
    return f"{len(texts)}: {', '.join(texts[:3])}" if texts else 0


def made(faults):
    """Those that really came about."""
    return [fault for fault in faults if not fault.get("skipped") and "failed" not in fault]


def failures(faults):
    found = collections.Counter(fault["fault"] for fault in faults if "failed" in fault)
    return ", ".join(f"{name} {number}" for name, number in found.items()) or 0


def print_recovery(samples):
    print("    From a kill or a long pause to the next POST (or to what made it unnecessary), in seconds:\n")
    rows = []
    for kind, title in HANDS.items():
        of_kind = [sample for sample in samples if sample["kind"] == kind]
        rows.append(row(title, of_kind))
        once = [sample for sample in of_kind if not sample["again"]]
        rows.append(row("  of these, killed once", once))
        rows.append(row("  and never handed back", [sample for sample in once if not sample["handed_back"]]))
    print_table(["in the hands of the dead", *HEADING], rows)


def row(title, samples):
    without, moved = (summary([sample[key] for sample in samples])[2:] for key in ("without_outages", "until_moved"))
    return [title, *summary([sample["seconds"] for sample in samples]), *without, *moved]


def print_company(samples):
    print("    From a kill -9 or a second SIGTERM to the next POST, in seconds, by what else was going on in that time:\n")
    titles = {"alone": "nothing else", "others": "other faults, every server in reach", "held": "a server was held away for a part of it"}
    print_table(["what else", *HEADING], [
        row(title, [sample for sample in samples if sample["company"] == company]) for company, title in titles.items()])


def print_by_fault(tables, faults):
    """By class: alone, and among others."""
    print("    Until what had been claimed and not sent was sent, in seconds: from the end of the fault, for a process from its beginning.\n")
    numbers, rows = collections.Counter(fault["fault"] for fault in made(faults)), []
    for name, kind in KINDS.items():
        if not numbers[name]:
            continue
        alone, others, held = ([value for table in tables for value in table.get(name, {}).get(company, [])] for company in ("alone", "others", "held"))
        rows.append([name, numbers[name], *summary(alone), *summary(others + held), promised(kind, alone)])
    print_table(["fault", "times", "alone", "p50", "p99", "worst", "among others", "p50", "p99", "worst", "promised, alone"], rows)


def promised(kind, seconds):
    if kind.promise is None:
        return ""
    p99, worst = kind.promise
    text = f"{p99} s" if p99 == worst else f"{p99} s, {worst} s"
    if not seconds:
        return text
    is_kept = percentile(seconds, 0.99) <= p99 and max(seconds) <= worst
    return f"{text}: {'kept' if is_kept else 'missed'}"


def print_totals(results):
    starts = collections.Counter(start["knowledge"] for result in results for start in result["second_starts"])
    print_table(["together", ""], [
        ["faults", sum(len(made(result["faults"])) for result in results)],
        ["reviews", sum(result["reviews"] for result in results)],
        ["lost", sum(len(result["lost"]) + result["inserted"] - result["reviews"] for result in results)],
        ["failed or cancelled", sum(sum(result["failed"].values()) for result in results)],
        ["started twice, and Baton knew, did not ask, could not know", f"{starts['known']}, {starts['not asked']}, {starts['unknown']}"],
        ["over an owner's limit", sum(max(0, result["over_capacity"]) for result in results)],
        ["processes that ended by themselves", sum(len(result["ended_by_themselves"]) for result in results)],
    ])


def print_slowest(samples):
    print("    The slowest:\n")
    print_table(["review", "dead", "seconds", "without outages", "moved on after", "with"], [
        [sample["review"][:8], sample["role"], f"{sample['seconds']:.1f}", f"{sample['without_outages']:.1f}",
         "" if sample["until_moved"] is None else f"{sample['until_moved']:.1f}", ",".join(sample["with"])]
        for sample in sorted(samples, key=lambda sample: -sample["seconds"])[:8]])

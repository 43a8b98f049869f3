"""`deploy/prove report FILE...`: the tables of one or more results of `faults`, their samples put together."""
import collections
import json

from figures import print_table, summary
from system import say

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
    print_by_fault(samples, faults, list(dict.fromkeys(name for result in results for name in result["classes"])))
    print_slowest(samples)


def print_verdict(result):
    starts = collections.Counter(start["knowledge"] for start in result["second_starts"])
    drains = [f"{fault['target']}: {fault['status']}" for fault in result["faults"] if fault.get("status")]
    by_themselves = [f"{end['role']}: {end['status']}" for end in result["ended_by_themselves"]]
    print_table([f"seed {result['seed']}", ""], [
        ["faults", len(result["faults"])],
        ["reviews", result["reviews"]],
        ["completed", result["completed"]],
        ["failed or cancelled", ", ".join(f"{code} {number}" for code, number in result["failed"].items()) or 0],
        ["lost (not ended)", ", ".join(f"{review['review'][:8]} {review['status']}" for review in result["lost"]) or 0],
        ["in a dead process's hands and never recovered", len(result["never_recovered"])],
        ["all had ended after the last fault, s", round(result["settled"])],
        ["started twice, and Baton knew", starts["known"]],
        ["started twice, and Baton did not ask", starts["not asked"]],
        ["started twice, and Baton could not know", starts["unknown"]],
        ["over an owner's limit by", max(0, result["over_capacity"])],
        ["processes that ended by themselves", ", ".join(by_themselves) or 0],
        ["SIGTERM answered with another status than 0", ", ".join(drains + [f"{k}: {v}" for k, v in result["exits"].items()]) or 0],
        ["load of the machine before and after", " ".join(f"{load:.1f}" for load in result["load"])],
    ])


def print_recovery(samples):
    print("    From a kill -9 to the next POST (or to what made it unnecessary), in seconds:\n")
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


def print_by_fault(samples, faults, classes):
    print("    The same by what else was going on between the kill and the POST:\n")
    times = collections.Counter(fault["fault"] for fault in faults if not fault.get("skipped"))
    rows = [[name, times[name], *row("", [sample for sample in samples if name in sample["with"]])[1:]] for name in classes]
    rows.append(["nothing", "", *row("", [sample for sample in samples if not sample["with"]])[1:]])
    print_table(["fault", "times", *HEADING], rows)


def print_slowest(samples):
    print("    The slowest:\n")
    print_table(["review", "dead", "seconds", "without outages", "moved on after", "with"], [
        [sample["review"][:8], sample["role"], f"{sample['seconds']:.1f}", f"{sample['without_outages']:.1f}",
         "" if sample["until_moved"] is None else f"{sample['until_moved']:.1f}", ",".join(sample["with"])]
        for sample in sorted(samples, key=lambda sample: -sample["seconds"])[:8]])

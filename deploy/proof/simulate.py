"""`deploy/prove simulate --seeds FIRST..LAST`: Baton's real code in one thread, with clocks, chance and faults from seeds."""
import concurrent.futures
import os
import re
import subprocess
import time

from harness import say

# A process keeps what killed tasks have held, so each runs a bounded number of seeds.
CHUNK = 250
TALLY = re.compile(r"(\d+) seeds, (\d+) reviews, (\d+) faults, (\d+) s of virtual time, (\d+) jobs, (\d+) second starts")
RECOVERIES = {
    "kill": "from a kill until a review of that process is on its way",
    "host": "the same, if its host is gone",
    "queue": "from the loss of the queue's content until a ticket of it is delivered",
    "silence": "from when consumers get nothing until a ticket is delivered",
    "outage": "from the return of the broker or the ledger until something is done",
}


def add_arguments(parser):
    parser.add_argument("--seeds", metavar="FIRST..LAST", default="1..1000")
    parser.add_argument("--short", action="store_true", help="for every change: seeds 1..20000, a debug build, only while a processor is idle")
    parser.add_argument("--seed", type=int, help="one seed alone")
    parser.add_argument("--history", action="store_true", help="print what happened in it, shrunk if it fails")
    parser.add_argument("--whole", action="store_true", help="do not shrink")
    parser.add_argument("--plant", help="break something on purpose; baton-simulate --help lists what")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")


def main(options):
    if options.short:
        options.seeds = "1..20000"
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    extra = (["--plant", options.plant] if options.plant else []) + (["--whole"] if options.whole else [])
    if options.seed is not None:
        history = ["--history"] if options.history else []
        return subprocess.run([options.executable, "--seed", str(options.seed), *history, *extra]).returncode == 0
    first, last = (int(end) for end in options.seeds.split(".."))
    chunks = [(start, min(start + CHUNK - 1, last)) for start in range(first, last + 1, CHUNK)]
    began = time.monotonic()
    totals, failed, recoveries = [0] * 6, [], {kind: [] for kind in RECOVERIES}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for output, status in pool.map(lambda chunk: run(options.executable, *chunk, extra), chunks):
            tally = TALLY.search(output)
            if tally is None:
                say(output)
                raise SystemExit(f"baton-simulate ended with status {status} and no result")
            totals = [total + int(value) for total, value in zip(totals, tally.groups())]
            for kind, times in re.findall(r"^recoveries (\w+):(.*)$", output, re.MULTILINE):
                recoveries[kind] += [int(value) / 1000 for value in times.split()]
            if status:
                print(output[: output.index("recoveries ")], end="", flush=True)
                failed += re.findall(r"^seed (\d+) fails", output, re.MULTILINE)
    seconds = time.monotonic() - began
    seeds, reviews, faults, virtual, jobs, second_starts = totals
    say(
        f"{seeds} seeds in {seconds:.0f} s ({seeds / seconds:.0f}/s): {reviews} reviews, {faults} faults, "
        f"{virtual / 3600:.1f} h of virtual time, {jobs} jobs; {len(failed)} seeds fail; "
        f"{second_starts} second starts that only an idempotent worker prevents"
    )
    for kind, times in recoveries.items():
        if times:
            times.sort()
            p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
            say(f"{RECOVERIES[kind]}, if nothing else fails: {len(times)} samples, p50 {p50:.1f} s, p99 {p99:.1f} s, worst {times[-1]:.1f} s")
    for seed in failed:
        say(f"deploy/prove simulate --seed {seed} --history")
    return not failed


def run(executable, first, last, extra):
    result = subprocess.run([executable, "--seeds", f"{first}..{last}", *extra], stdout=subprocess.PIPE, text=True)
    return result.stdout, result.returncode

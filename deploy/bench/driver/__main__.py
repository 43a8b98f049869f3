"""Runs the benchmarks named and prints a table of medians for each. Started by deploy/bench/run, which see."""
import argparse
import collections
import itertools
import json
import os
import pathlib
import signal
import statistics
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "local"))

import processes  # noqa: E402
import servers  # noqa: E402
from benchmarks import ALL  # noqa: E402
from peers import PEERS, standing_in  # noqa: E402

RESULTS = pathlib.Path(".local/bench.jsonl")
RUN = time.strftime("%FT%T%z")


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/bench/run")
    parser.add_argument("what", nargs="+", choices=[*ALL, "all"])
    parser.add_argument("--reps", type=int, default=3, help="rounds; the tables show medians")
    parser.add_argument("--n", type=int, help="reviews a run; memory: without it 64, 500 and 2,000")
    parser.add_argument("--consumers", type=lambda s: list(map(int, s.split(","))), default=[1], help="throughput: 1,2 measures both")
    parser.add_argument("--peer", choices=PEERS, help="throughput with GitHub: measures it in the same rounds, after Baton")
    parser.add_argument("--rows", type=int, default=500_000, help="growth: ended reviews")
    parser.add_argument("--owners", type=int, default=100_000, help="owners: how many")
    parser.add_argument("--seconds", type=float, default=30, help="idlecpu: how long")
    return parser.parse_args()


def cell(values, form):
    """The median, and the range if there is one."""
    median, low, high = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return median if low == high else f"{median} ({low}-{high})"


def print_table(heading, rows):
    widths = [max(len(row[i]) for row in [heading, *rows]) for i in range(len(heading))]
    for row in [heading, ["-" * width for width in widths], *rows]:
        print("  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))]).rstrip())


def is_constant():
    return bool(os.environ.get("BATON_BENCH_CONSTANT"))


def rounds_of(name, nginx, options):
    """One round of a benchmark, and of the peer's, which asks GitHub for the pull request."""
    function, _ = ALL[name]
    yield from function(nginx, options)
    if options.peer and name == "throughput" and not is_constant():
        with standing_in(options.peer):
            for label, figures in function(nginx, argparse.Namespace(**{**vars(options), "consumers": [1]})):
                yield f"{options.peer}, {label}", figures


def sizes_of(name, options):
    """Of which sizes a result is, for the report."""
    return {"growth": dict(rows=options.rows), "owners": dict(owners=options.owners)}.get(name, {})


def measure(name, nginx, options, round_number, results):
    """One round of a benchmark: appended to the file, and to its results by label."""
    heading = ALL[name][1][0]
    for label, figures in rounds_of(name, nginx, options):
        results[label].append(figures)
        print(f"    {name} {round_number}/{options.reps}, {label}: {heading[1]} {figures[heading[0]]:{heading[2]}}", flush=True)
        row = dict(run=RUN, at=time.strftime("%FT%T%z"), what=name, label=label, constant=is_constant(), **sizes_of(name, options), **figures)
        with open(RESULTS, "a") as file:
            file.write(json.dumps(row) + "\n")


def print_results(name, results, options):
    """The table of a benchmark. True if every review went out exactly once."""
    function, columns = ALL[name]
    with_once = any("once" in figures for rows in results.values() for figures in rows)
    table = []
    for label, rows in results.items():
        cells = [cell([row[key] for row in rows], form) if key in rows[0] else "" for key, _, form in columns]
        once = [("yes" if all(row["once"] for row in rows) else "NO")] if with_once else []
        table.append([label, *cells, *once])
    print(f"\n{name}: {' '.join(function.__doc__.split())} Median of {options.reps} (range).")
    print_table(["", *(title for _, title, _ in columns), *(["exactly once"] if with_once else [])], table)
    print(flush=True)
    return all(figures.get("once", True) for rows in results.values() for figures in rows)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load, fine = os.getloadavg()[0], True
    print(f"    {processes.machine()}")
    print(f"    PostgreSQL {servers.query('SHOW server_version')[0].split()[0]}, "
          f"RabbitMQ {json.loads(servers.manage('GET', 'overview'))['rabbitmq_version']}, load before: {load:.2f}")
    if load > 1:
        print("    The machine is busy: these figures will be too low.")
    names = list(ALL) if "all" in options.what else options.what
    results = {name: collections.defaultdict(list) for name in names}
    nginx = servers.Nginx()
    try:
        # One round of each, then the next: what the machine does besides is divided among all.
        for round_number, name in itertools.product(range(1, options.reps + 1), names):
            try:
                measure(name, nginx, options, round_number, results[name])
            except RuntimeError as error:
                print(f"    {name}: {error}", file=sys.stderr, flush=True)
                fine = False
    finally:
        nginx.stop()
    for name in names:
        if results[name]:
            fine = print_results(name, results[name], options) and fine
    sys.exit(0 if fine else 1)


main()

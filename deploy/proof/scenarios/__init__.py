"""`deploy/prove scenario NAME...`: one situation each, made on purpose and measured."""
import json
import time

from figures import print_table
from system import RESULTS

from harness import say
from scenarios import hung_worker, locked_row, many_owners, purge, stopped_postgres

ALL = {
    "purge": purge, "hung-worker": hung_worker, "stopped-postgres": stopped_postgres, "locked-row": locked_row,
    "many-owners": many_owners,
}


def add_arguments(parser):
    parser.add_argument("names", nargs="+", choices=[*ALL, "all"], metavar="NAME", help=", ".join([*ALL, "all"]))
    parser.add_argument("--consumers", type=int, help="purge: 6, others: 2 or 3")
    parser.add_argument("--reapers", type=int, help="purge: 2, others: 1 or 2")
    parser.add_argument("--seconds", type=float, help="how long the fault lasts")
    parser.add_argument("--limit", type=float, default=400, help="seconds after which a wait is given up, and counts as that long")
    parser.add_argument("--many", type=int, default=100_000, help="many-owners: how many")


def main(options):
    names = list(ALL) if "all" in options.names else options.names
    is_fine, results = True, []
    for name in names:
        module = ALL[name]
        say(f"{name}: {' '.join(module.__doc__.split())}")
        for figures in module.run(options):
            results.append(dict(scenario=name, at=time.strftime("%FT%T%z"), **figures))
            is_fine = is_fine and figures["promised"]
            print_table(["figure", "value"], [[key.replace("_", " "), value] for key, value in figures.items()])
    with open(options.json or RESULTS / "scenarios.json", "w") as file:
        json.dump(results, file, indent=1)
    return is_fine

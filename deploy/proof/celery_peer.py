"""`deploy/prove compare`: the same kills and the same faults of the broker for Baton and for a dispatcher on Celery, one after the other."""
import json
import os
import pathlib
import subprocess

import broker
import postgres
import random_faults
import report
from figures import print_table, summary
from harness import database_url, say
from system import ACCOUNT, DATABASE, QUEUE, RESULTS, System

CLASSES = ["kill", "terminate", "close-broker", "kill-broker", "restart-broker"]
RUN = pathlib.Path("deploy/peers/celery/run")
# The driver's account owns no tables.
GRANTS = f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ACCOUNT}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ACCOUNT}"


def add_arguments(parser):
    random_faults.add_arguments(parser)
    parser.set_defaults(minutes=5, reviews=1500, settle=180, only=CLASSES)


class CelerySystem(System):
    suffix = "-celery"

    def prepare(self):
        broker.delete(QUEUE)  # Baton's, with other arguments
        say("installing Celery from PyPI, if it is not there")
        subprocess.run([RUN, "setup"], check=True, env={**os.environ, "BATON_DATABASE_URL": database_url(DATABASE)})
        postgres.query(GRANTS, DATABASE)

    def command(self, kind, *flags):
        return [RUN, kind, *(flag for flag in flags if flag.isdigit())]


def main(options):
    results = {"Baton": random_faults.run(options, silent=0)}
    # Celery has nothing like a reaper: what is lost stays lost.
    results["Celery"] = random_faults.run(options, CelerySystem, [("produce", 2), ("consume", 3), ("serve", 2)], silent=0)
    with open(options.json or RESULTS / "compare.json", "w") as file:
        json.dump(results, file, indent=1)
    print_results(results)
    return random_faults.is_fine(results["Baton"])


def print_results(results):
    def times(result, *companies):
        return ", ".join(summary([s["seconds"] for s in result["samples"] if s["end"] is not None and s["company"] in companies]))

    rows = [
        ("faults", lambda r: len(report.made(r["faults"]))),
        ("reviews", lambda r: r["reviews"]),
        ("never sent, or not ended", lambda r: len(r["lost"])),
        ("started twice", lambda r: len(r["second_starts"])),
        ("over an owner's limit by, at the worker", lambda r: max(0, r["over_capacity_at_worker"])),
        ("in a dead process's hands: number, p50, p99, worst, s", lambda r: times(r, "alone", "others", "held")),
        ("of these, nothing else happened", lambda r: times(r, "alone")),
        ("of these, never on its way again", lambda r: len(r["never_recovered"])),
    ]
    print_table(["", *results], [[title, *(value(result) for result in results.values())] for title, value in rows])

"""What deploy/prove runs once the servers are up. See README.md here."""
import argparse
import pathlib
import signal
import sys

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(DEPLOY / "bench/driver"), str(DEPLOY / "local")]

import celery_peer  # noqa: E402
import cluster  # noqa: E402
import crashes  # noqa: E402
import fuzz  # noqa: E402
import model  # noqa: E402
import mutations  # noqa: E402
import random_faults  # noqa: E402
import report  # noqa: E402
import scenarios  # noqa: E402
import simulate  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/prove")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in (
        ("faults", random_faults), ("scenario", scenarios), ("report", report), ("simulate", simulate), ("mutations", mutations),
        ("model", model), ("cluster", cluster), ("compare", celery_peer), ("crashes", crashes), ("fuzz", fuzz),
    ):
        command = commands.add_parser(name, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(main=module.main)
        if module in (report, mutations, model, fuzz):
            continue
        command.add_argument("--executable", type=lambda path: str(pathlib.Path(path).resolve()), required=True, help="the program to prove")
        if module is simulate:
            continue
        command.add_argument("--json", help="where the result goes; otherwise into .local/prove")
    return parser.parse_args()


def main():
    # An exit by exception, so that everything is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    sys.exit(0 if options.main(options) else 1)


main()

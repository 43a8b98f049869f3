"""Runs each command of Baton that prints JSON, on a system that is up, and holds what it prints against commands.schema.json."""
import json
import os
import pathlib
import subprocess

import jsonschema

FOLDER = pathlib.Path(__file__).resolve().parent
SCHEMA = json.loads((FOLDER / "commands.schema.json").read_text())


def validator(name):
    resolver = jsonschema.RefResolver(f"{FOLDER.as_uri()}/commands.schema.json", SCHEMA)
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}"}, resolver=resolver, format_checker=jsonschema.FormatChecker())


def faults(name, text):
    """What is wrong with the lines that a command has printed."""
    lines = text.splitlines()
    if not lines:
        yield f"{name}: nothing was printed"
    for line in lines:
        for error in validator(name).iter_errors(json.loads(line)):
            yield f"{name}: {error.json_path}: {error.message}"


def commands(review):
    """The definition of each, and its words; those that change something are harmless here."""
    return [
        ("queue", ["queue", "--json"]), ("health", ["health", "--json"]), ("list", ["list", "--limit", "5", "--json"]),
        ("show", ["show", review, "--json"]), ("show", ["show", review, "--events", "--json"]),
        ("produce", ["produce", "--once"]), ("catch-up", ["catch-up"]), ("endpoint-list", ["endpoint", "list", "--json"]),
        ("deliveries", ["deliveries", "--json"]),
        ("operation", ["retry", "--status", "failed", "--dry-run", "--json"]),
        ("operation", ["cancel", review, "--dry-run", "--json"]),
        ("operation", ["release", "--since", "1h", "--yes", "--json"]),
        ("operation", ["cancel", "--status", "pending", "--yes", "--json"]),
        ("submit", ["submit", "--owner", "org:schema", "--platform", "github", "--repo", "acme/shop", "--number", "7", "--url",
                    "https://github.com/acme/shop/pull/7", "--title", "Title", "--author", "ann", "--base", "main", "--head", "feature",
                    "--sha", "a" * 40, "--json"]),
        ("dead-list", ["dead", "list", "--json"]), ("owner-list", ["owner", "list", "--json"]),
        ("config-show", ["config", "show", "org:schema", "--platform", "github", "--json"]),
        ("integration-list", ["integration", "list", "--json"]),
        ("prune", ["prune", "--older-than", "90d", "--json"]), ("reap", ["reap"]),
    ]


def check(baton, sandbox_report, worker):
    """`sandbox_report` is what `baton submit --sandbox --wait --json` has printed, `worker` the sandbox's worker, which knows that review's events."""
    found = [*faults("submit-sandbox", sandbox_report)]
    review = json.loads(sandbox_report.splitlines()[0])["id"]
    for words in (["config", "set", "org:schema", "--platform", "github", "--enable"],
                  ["integration", "add", "org:schema", "--platform", "github", "--installation-id", "7"],
                  ["endpoint", "add", "https://hooks.example.com/schema", "--event-hosts", "hooks.example.com"]):
        subprocess.run([baton, *words], check=True, capture_output=True)
    for name, words in commands(review):
        answer = subprocess.run([baton, *words], capture_output=True, text=True, env={**os.environ, "BATON_WORKER_URL": worker})
        # 78: catch-up has printed its counts, and cannot look at GitHub without an App.
        if answer.returncode and (name, answer.returncode) != ("catch-up", 78):
            found.append(f"baton {' '.join(words)}: {answer.stderr}")
        else:
            found += faults(name, answer.stdout)
    return found

"""`deploy/prove mutations [NAME...]`: breaks the protocol on purpose, one patch at a time, and shows what notices it."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from figures import print_table
from harness import say

PATCHES = pathlib.Path(__file__).resolve().parent / "mutations"
TABLE = PATCHES / "README.md"
ROOT = PATCHES.parent.parent.parent
PROOF = ROOT / "Sources/baton/baton.docc/Proof.md"
PAGES = [TABLE, PATCHES.parent / "README.md", PROOF]
# As deploy/local/test builds.
BUILD = ["swift", "build", "--scratch-path", ".build-test"]
# Suites that need no server.
SUITES = ["DispatchingTests", "ReviewStoreTests", "ResilienceTests", "ReviewQueueTests", "WorkerClientTests"]
# What needs a server, or is about the text of the source.
SKIPPED = "PostgresConformanceTests|RandomStepTests|TLSTests|StatementTests"
# Only what the guards need is built. A manifest is a program.
MANIFEST = """
let guards = [{guards}]
package.targets.removeAll {{ $0.type == .test && !guards.contains($0.name) }}
package.targets.removeAll {{ $0.type == .executable && $0.name != "baton-simulate" }}
package.products = []
"""
HANGS = 600
# A failed expectation: the test's name, and its argument if it has any.
ISSUE = re.compile(r'^✘ Test "?(.+?)"? recorded an issue(?: with \d+ arguments? (.+?))? at \S+\.swift:', re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Patch:
    """A mutation: what stands before the diff says what it breaks, and which tests it is for, if only those can notice it."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        head = path.read_text().split("\ndiff --git ")[0]
        self.fields = dict(re.findall(r"^([A-Z]\w+): (.+)$", head, re.MULTILINE))
        self.breaks, self.tests, self.harmless = (self.fields.get(name, "") for name in ("Breaks", "Tests", "Harmless"))

    @property
    def more_suites(self):
        """The suites that its tests need besides the usual ones."""
        named = {name for name in re.findall(r"\w+", self.tests) if (ROOT / "Tests" / name).is_dir()}
        return sorted(named - set(SUITES))


class DoesNotCompile(Exception):
    """A patch that proves nothing."""


def patches(names=()):
    found = [Patch(path) for path in sorted(PATCHES.glob("*.patch")) if not names or path.stem in names]
    unknown = set(names) - {patch.name for patch in found}
    if unknown:
        raise SystemExit(f"no mutation of this name: {' '.join(sorted(unknown))}")
    # Those that need more to be built come last.
    return sorted(found, key=lambda patch: (patch.more_suites, bool(patch.tests)))


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="patches, without .patch; all of them if none is named")
    parser.add_argument("--seeds", metavar="FIRST..LAST", default="1..300", help="how far the simulator goes")
    parser.add_argument("--copy", type=pathlib.Path, help="where the mutated copy is built; kept for the next run")
    parser.add_argument("--write", action="store_true", help="write what was found into the table")
    parser.add_argument("--check", action="store_true", help="only: does each patch apply, and is it in the table?")


def main(options):
    if options.check:
        return check()
    copy = options.copy or pathlib.Path(tempfile.mkdtemp(prefix="baton.mutations."))
    chosen, rows = patches(options.names), []
    check_guards(copy, chosen, options)
    for patch in chosen:
        prepare(copy, patch.more_suites, patch)
        say(f"{patch.name}: building")
        try:
            row = [patch.name, patch.breaks, judge(copy, patch.name, patch.tests, options) or patch.harmless]
        except DoesNotCompile as fault:
            row = [patch.name, patch.breaks, ""]
            say(str(fault))
        say(f"{patch.name}: {row[2] or 'nothing notices it'}")
        rows.append(row)
        if options.write:
            write(row)
    restore(copy)
    print_table(["mutation", "caught by"], [[row[0], row[2]] for row in rows])
    if not options.copy:
        shutil.rmtree(copy)
    survivors = [row[0] for row in rows if not row[2]]
    say(f"{len(rows)} mutations, {len(rows) - len(survivors)} caught or harmless" + "".join(f"; survives: {name}" for name in survivors))
    return not survivors


# MARK: The copy


def restore(copy):
    """The source as it is committed; what was built there stays."""
    if not (copy / ".git").exists():
        subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, copy], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--force", "."], cwd=copy, check=True)


def prepare(copy, more_suites, patch=None):
    restore(copy)
    suites = SUITES + more_suites
    with (copy / "Package.swift").open("a") as manifest:
        manifest.write(MANIFEST.format(guards=", ".join(f'"{suite}"' for suite in suites)))
    if patch:
        subprocess.run(["git", "apply", patch.path], cwd=copy, check=True)


# MARK: Who notices it


def check_guards(copy, chosen, options):
    """A guard that says something about the source as it is says nothing about a mutation."""
    for tests, more_suites in sorted({(patch.tests, tuple(patch.more_suites)) for patch in chosen}):
        say("the source as it is: " + (tests or "simulator, and suites without servers"))
        prepare(copy, list(more_suites))
        found = judge(copy, "the source as it is", tests, options)
        if found:
            raise SystemExit(f"without a mutation the guards find: {found}")


def judge(copy, name, named, options):
    """The first guard that notices it; empty if none does."""
    folder = copy / ".build-test/debug"
    if named:
        build(copy, name, "--build-tests")
        return tests(copy, folder, ["--filter", named], on_servers())
    build(copy, name, "--product", "baton-simulate")
    seeds = run([folder / "baton-simulate", "--seeds", options.seeds, "--whole", "--first"], copy)
    found = promise(seeds)
    if found:
        return found
    build(copy, name, "--build-tests")
    return tests(copy, folder, ["--skip", SKIPPED])


def build(copy, name, *what):
    built = run([*BUILD, *what], copy)
    if built.returncode:
        raise DoesNotCompile(f"{name} does not compile: {re.findall(r'error: .*', built.stdout)[:3] or built.stdout[-2_000:]}")


def promise(result):
    failed = re.search(r"^seed (\d+) fails:\n  ([^:]+):", result.stdout, re.MULTILINE)
    if failed:
        return f"simulator, seed {failed[1]}: {failed[2]}"
    return "" if result.returncode == 0 else f"simulator: ends with status {result.returncode}"


def tests(copy, folder, arguments, environment=None):
    bundle = next(folder.glob("*.xctest"))
    result = run([bundle, "--testing-library", "swift-testing", "--no-parallel", *arguments], copy, environment)
    if result.returncode == 0 and "Test run with 0 tests" in result.stdout:
        raise SystemExit(f"no test matches {arguments}")
    # One case of a table of tests is named by its argument, if that is text.
    failed = dict.fromkeys(argument.split(" → ")[-1] if " " in argument.split(" → ")[-1] else name for name, argument in ISSUE.findall(result.stdout))
    if failed:
        return f"test: {next(iter(failed))}" + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
    if result.returncode < 0:
        # An internal check of the code, or of the runtime.
        return f"test: crash by {signal.Signals(-result.returncode).name}"
    return "" if result.returncode == 0 else f"tests: end with status {result.returncode}"


def on_servers():
    """As deploy/local/test sets it."""
    names = {"BATON_TEST_DATABASE_URL": "PG_URL", "BATON_TEST_AMQP_URL": "AMQP_URL"}
    return os.environ | {name: os.environ[source] for name, source in names.items()} | {
        "BATON_TEST_BROKER_SCRIPT": str(ROOT / "deploy/local/servers"), "BATON_TEST_DIRECTORY": os.environ["PROVE_SERVERS"],
    }


def run(command, folder, environment=None):
    """A process whose output is kept; status 124 if it hangs."""
    try:
        result = subprocess.run(
            [str(part) for part in command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=HANGS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "")
    result.stdout = COLOUR.sub("", result.stdout)
    return result


# MARK: The table


def table_rows():
    """The rows of the table, by the mutation's name."""
    cells = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip("` "): row[1:] for row in cells}


def write(row):
    text = TABLE.read_text()
    rows = table_rows() | {row[0]: [cell.replace("|", "/") for cell in row[1:]]}
    lines = [f"| `{name}` | " + " | ".join(cell or "–" for cell in rows[name]) + " |" for name in sorted(rows) if (PATCHES / f"{name}.patch").exists()]
    head = text[: text.index("|---")].rstrip("\n")
    TABLE.write_text(f"{head}\n|---|---|---|\n" + "\n".join(lines) + "\n")


def table_faults(known):
    """What the figures of the proof say of another number of mutations."""
    said = re.findall(r"^\| mutations of the code.*?\| (\d+) of (\d+) \|", PROOF.read_text(), re.MULTILINE)
    if said != [(str(len(known)),) * 2]:
        yield f"{PROOF.relative_to(ROOT)} does not say {len(known)} of {len(known)} mutations"


def check():
    """Whether each patch applies to the source as it is, the table has each of them, caught, and the pages name no other, and their number."""
    faults, rows = [], table_rows()
    for patch in patches():
        applied = subprocess.run(["git", "apply", "--check", patch.path], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if applied.returncode:
            faults.append(f"{patch.name} does not apply: {applied.stdout.strip()}")
        if not patch.breaks:
            faults.append(f"{patch.name} does not say what it breaks")
        row = rows.pop(patch.name, None)
        if row is None:
            faults.append(f"{patch.name} is not in the table")
        elif row[0] != patch.breaks:
            faults.append(f"{patch.name}: the table says something else than the patch about what it breaks")
        elif row[1] == "–":
            faults.append(f"{patch.name} is caught by nothing")
    faults += [f"{name} is in the table and has no patch" for name in rows]
    known = {patch.name for patch in patches()}
    for page in PAGES:
        # What follows the command up to a comment, without its options.
        calls = re.findall(r"deploy/prove mutations((?: [\w-]+)*)", page.read_text())
        named = {name for call in calls for name in call.split() if not name.startswith("-")}
        faults += [f"{page.relative_to(ROOT)} names {name}, which is no mutation" for name in sorted(named - known)]
    faults += table_faults(known)
    for fault in faults:
        say(fault)
    return not faults

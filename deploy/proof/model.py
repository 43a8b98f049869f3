"""`deploy/prove model`: the protocol in Promela, every interleaving of it, by Spin. See README.md and model/."""
import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile
import time
from harness import say
from typing import NamedTuple


MODEL = pathlib.Path(__file__).resolve().parent / "model"
TRACES = MODEL / "traces"
MEMORY_MAX = 1900  # MB, for one of two at once


class World(NamedTuple):
    """What is looked through to its end: no promise is broken in it."""

    name: str
    defines: str
    fair: bool = False


WORLDS = [
    World("one review, two faults", "ATTEMPTS=1 FAULTS=2 OPERATIONS=0"),
    World("one review, one fault, a cancel and a retry", "ATTEMPTS=2 FAULTS=1 OPERATIONS=2"),
    World("two reviews with room for one, two producers, one fault", "REVIEWS=2 ATTEMPTS=1 PRODUCERS=2 CONSUMERS=1 FAULTS=1 OPERATIONS=0"),
    World("every review ends: one fault, weak fairness", "ATTEMPTS=1 FAULTS=1 OPERATIONS=0 FAIR", fair=True),
]
DEEP = [
    World("one review, three faults", "ATTEMPTS=1 FAULTS=3 OPERATIONS=0"),
    World("one review, two faults, a cancel", "ATTEMPTS=1 FAULTS=2 OPERATIONS=1"),
    World("two reviews, one fault, a cancel", "REVIEWS=2 ATTEMPTS=1 PRODUCERS=2 CONSUMERS=1 FAULTS=1 OPERATIONS=1"),
    World("every review ends: one fault, a cancel, weak fairness", "ATTEMPTS=1 FAULTS=1 OPERATIONS=1 FAIR", fair=True),
    World("every review ends: a cancel and a retry, weak fairness", "ATTEMPTS=2 FAULTS=0 OPERATIONS=2 FAIR", fair=True),
]


# How the assertion of a promise begins, as Spin prints it.
ASSERTIONS = {
    "I1": r"\(+row\[0\]\.status==completed",
    "I2": r"(\(starts|!\(unasked)",
    "I3": r"(\(n<=|\(*row\[.*\.attempt!=)",
    "I4": r"\(job\[.*\]\.attempt>=",
    "I5": r"!\(+row",
}


class Mistake(NamedTuple):
    """A variant that has to break its promise; `traces` has how."""

    name: str
    promise: str
    what: str
    model: str
    defines: str


MISTAKES = [
    Mistake("original-status-first", "I1", "the original's first order: queued first, then prepared and sent", "original", "STATUS_FIRST FAULTS=1"),
    Mistake("original-revert", "I2", "the original's second order: pending again after an unclear answer", "original", "REVERT FAULTS=1"),
    Mistake("original-stale", "I2", "the original's third order: what is queued for long is sent again, to a worker without idempotent start", "original", "STALE FAULTS=1"),
    Mistake("no-reaper", "I1", "no reaper", "baton", "NO_REAPER ATTEMPTS=1 FAULTS=1 OPERATIONS=0"),
    Mistake("record-any-attempt", "I4", "the dispatch is recorded without the attempt", "baton", "RECORD_ANY_ATTEMPT ATTEMPTS=2 FAULTS=0 OPERATIONS=2"),
    Mistake("no-question", "I2", "an unclear start is repeated without asking the worker", "baton", "NO_QUESTION ATTEMPTS=1 FAULTS=1 OPERATIONS=0"),
    Mistake("not-idempotent", "I2", "a worker that does not keep the contract: it begins a run for every POST", "baton", "NOT_IDEMPOTENT ATTEMPTS=1 FAULTS=1 OPERATIONS=0"),
    Mistake("count-first", "I3", "active reviews are counted before the owner is locked", "baton", "COUNT_FIRST REVIEWS=2 ATTEMPTS=1 PRODUCERS=2 CONSUMERS=1 FAULTS=0 OPERATIONS=0"),
    Mistake("free-the-place", "I3", "a review goes back to pending although a start of it may still arrive", "baton", "FREE_THE_PLACE ATTEMPTS=1 CONSUMERS=1 FAULTS=2 OPERATIONS=0"),
    Mistake("acknowledge-first", "I4", "the delivery is acknowledged before the POST", "baton", "ACKNOWLEDGE_FIRST ATTEMPTS=1 FAULTS=0 OPERATIONS=0"),
    Mistake("unguarded-report", "I5", "a callback changes a row that has ended", "baton", "UNGUARDED_REPORT ATTEMPTS=1 FAULTS=0 OPERATIONS=1"),
]


def add_arguments(parser):
    parser.add_argument("--deep", action="store_true", help="also the worlds that take minutes")
    parser.add_argument("--write", action="store_true", help="write the traces of the mistakes anew")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="searches at once")


def main(options):
    began = time.monotonic()
    TRACES.mkdir(exist_ok=True)
    worlds = WORLDS + (DEEP if options.deep else [])
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        # The longest first.
        found = [pool.submit(look_through, world) for world in sorted(worlds, key=lambda world: not world.fair)]
        found += [pool.submit(refute, mistake, options.write) for mistake in MISTAKES]
        faults = [fault for each in found if (fault := each.result())]
    for fault in faults:
        say(fault)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    say(
        f"model: {len(worlds)} worlds looked through, {len(MISTAKES)} mistakes refuted, in {time.monotonic() - began:.0f} s "
        f"({used.ru_utime + used.ru_stime:.0f} s of processor time, at most {used.ru_maxrss // 1024} MB at once); {len(faults)} failures"
    )
    return not faults


def look_through(world):
    with search("baton", world.defines, world.fair) as found:
        states, memory = found.figure(r"(\d+) states, stored"), found.figure(r"([\d.]+)\s+total actual memory usage")
        if found.is_complete and found.errors == 0:
            say(f"  {world.name}: {states} states, {memory} MB, nothing broken")
            return None
        return f"{world.name} ({world.defines}): {found.errors} errors, after {states} states:\n{found.trace() or found.output}"


def refute(mistake, writes):
    with search(mistake.model, mistake.defines, shortest=True) as found:
        trace = found.trace()
        if not re.search(r"^assert\(" + ASSERTIONS[mistake.promise], trace, re.MULTILINE):
            return f"{mistake.name} is not refuted by the assertion of {mistake.promise}: {found.errors} errors\n{trace or found.output}"
    kept = TRACES / f"{mistake.name}.txt"
    text = f"{mistake.what}\n{mistake.model}.pml, {mistake.defines}\nbreaks {mistake.promise}:\n\n{trace}"
    if writes:
        kept.write_text(text)
    if not kept.exists() or kept.read_text() != text:
        return f"{kept.name} is not the trace of this model any more: deploy/prove model --write\n{text}"
    say(f"  {mistake.name}: breaks {mistake.promise}, in {trace.count(chr(10)) - 1} steps")
    return None


class search:
    """One search of Spin, in a folder of its own that is there until the end of the block."""

    def __init__(self, model, defines, fair=False, shortest=False):
        self.model, self.defines = model, ["-D" + each for each in defines.split()]
        self.fair, self.shortest = fair, shortest

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="baton-model-")
        for file in MODEL.glob("*.pml"):
            shutil.copy(file, self.folder)
        safety = [] if self.fair else ["-DSAFETY"] + (["-DBFS"] if self.shortest else [])
        fairness = ["-a", "-f"] if self.fair else []
        self.run("spin", "-a", *self.defines, f"{self.model}.pml", check=True)
        self.run("gcc", "-O2", "-w", f"-DMEMLIM={MEMORY_MAX}", "-DNFAIR=3", *safety, "-o", "pan", "pan.c", check=True)
        # -E: a process that waits indefinitely is no error; `checker` and the formula say what is one.
        self.output = self.run("./pan", "-E", "-m20000", *fairness)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def run(self, *command, check=False):
        result = subprocess.run(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check and result.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{result.stdout}")
        return result.stdout

    @property
    def errors(self):
        return int(self.figure(r"errors: (\d+)") or -1)

    @property
    def is_complete(self):
        return not re.search(r"Search not completed|max search depth too small|out of memory|reached -DMEMLIM", self.output)

    def figure(self, pattern):
        found = re.search(pattern, self.output)
        return found and found[1]

    def trace(self):
        """What happened until the error, a line for each message of the model; empty without an error."""
        if not (pathlib.Path(self.folder) / f"{self.model}.pml.trail").exists():
            return ""
        lines = []
        for line in self.run("spin", "-t", "-T", *self.defines, f"{self.model}.pml").splitlines():
            if line.startswith("spin: trail ends"):
                break
            if line.startswith("spin: text of failed assertion: "):
                line = line.removeprefix("spin: text of failed assertion: ")
            elif line.startswith("spin:") or "<<<START OF CYCLE>>>" in line:
                continue
            lines.append(line)
        return "\n".join(lines).strip() + "\n"

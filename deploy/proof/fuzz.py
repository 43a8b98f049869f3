"""`deploy/prove fuzz`: reads what libFuzzer makes up, guided by the code that it reaches. Targets: Tests/FuzzTests/FuzzTarget.swift."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess

from figures import print_table
from harness import say

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TREE = ROOT / "Tests/FuzzTests/Corpus"
WORK = ROOT / ".local/fuzz"
SCRATCH = ROOT / ".build-fuzz"
# The corpora in the tree: small files, and not many.
KEPT_BYTES, KEPT_FILES = 4_096, 48
# libFuzzer has the entry of the program, so that a manifest of its own makes the tests' files into one. It looks into Baton's modules alone:
# what is reached in others would lead it astray.
MANIFEST = """
let sanitizers = ["-sanitize=fuzzer,address"]
if let tests = package.targets.first(where: { $0.name == "FuzzTests" }) {
  package.products = []
  package.targets.removeAll { $0.type == .test || $0.type == .executable }
  for target in package.targets where target.swiftSettings != nil {
    target.swiftSettings?.append(.unsafeFlags(["-O"] + sanitizers))
  }
  package.targets.append(
    .executableTarget(
      name: "baton-fuzz",
      dependencies: tests.dependencies.filter { if case .byNameItem("baton", _) = $0 { false } else { true } },
      path: ".", exclude: ["Tests/FuzzTests/CorpusTests.swift", "Tests/FuzzTests/Corpus"],
      sources: ["Tests/FuzzTests", "Sources/baton/Submitting/SubmissionReader.swift"],
      swiftSettings: strict + [.define("FUZZER"), .unsafeFlags(["-O", "-parse-as-library"] + sanitizers)],
      linkerSettings: [.unsafeFlags(sanitizers)]))
}
"""
DONE = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+.*?exec/s: (\d+)", re.MULTILINE)


def add_arguments(parser):
    parser.add_argument("--target", action="append", choices=targets(), help="one of them; may be repeated; all without it")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once")
    parser.add_argument("--corpus", type=pathlib.Path, help="a folder with further inputs, which stay out of the tree")
    parser.add_argument("--growth", action="store_true", help="look for readers that take longer than in proportion to their input")
    parser.add_argument("--merge", action="store_true", help="put what reaches new code into the tree's corpora, small files only")
    parser.add_argument("--build-only", action="store_true")


def targets():
    return sorted(path.name for path in TREE.iterdir())


def main(options):
    program = build()
    chosen = options.target or targets()
    if options.build_only:
        return True
    if options.merge:
        for target in chosen:
            merge(program, target)
        return True
    if options.growth:
        return not any([grow(program, target) for target in chosen])
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda target: fuzz(program, target, options), chosen))
    print_table(["target", "executions", "a second", "edges reached", "corpus", "crashes"], rows)
    return all(row[-1] == 0 for row in rows)


def build():
    package = WORK / "package"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("Sources", "Tests"):
        if not (package / name).is_symlink():
            (package / name).symlink_to(ROOT / name)
    (package / "Package.swift").write_text((ROOT / "Package.swift").read_text() + MANIFEST)
    command = [
        "swift", "build", "--package-path", package, "--scratch-path", SCRATCH, "--product", "baton-fuzz",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return SCRATCH / "debug/baton-fuzz"


def run(program, target, arguments, **environment):
    """libFuzzer writes all that it says to standard error."""
    # Swift's own report of a crash would come before libFuzzer has written the input.
    options = {"BATON_FUZZ_TARGET": target, "ASAN_OPTIONS": "detect_leaks=0", "SWIFT_BACKTRACE": "enable=no", **environment}
    return subprocess.run(
        [program, *arguments], env={**os.environ, **options}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )


def fuzz(program, target, options):
    # What is found on the way from other people's inputs is kept apart: it never comes into the tree.
    found = WORK / ("corpus-of-others" if options.corpus else "corpus") / target
    crashes = WORK / "crashes"
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    result = run(program, target, [
        found, TREE / target, *([options.corpus] if options.corpus else []), f"-max_total_time={options.seconds}", "-max_len=16384",
        "-len_control=20", "-timeout=10", "-rss_limit_mb=3000", f"-artifact_prefix={crashes}/{target}-", "-print_funcs=0", "-print_final_stats=1",
    ])
    new = sorted(set(crashes.iterdir()) - before)
    done = DONE.search(result.stdout)
    (WORK / f"{target}.log").write_text(result.stdout)
    for path in new:
        say(f"{target}: {path}")
    if result.returncode and not new:
        say(result.stdout[-4_000:])
        raise SystemExit(f"baton-fuzz ended with status {result.returncode}")
    executions, edges, _, corpus, rate = done.groups() if done else ("", "", "", "", "")
    say(f"{target}: {executions} executions, {rate}/s, {edges} edges, {len(new)} crashes")
    return [target, executions, rate, edges, corpus, len(new)]


def grow(program, target):
    output = run(program, target, sorted((TREE / target).iterdir()), BATON_FUZZ_GROWTH="1").stdout
    faults = sorted(set(re.findall(r"^growth: .*$", output, re.MULTILINE)))
    say("\n".join(faults) if faults else f"{target}: no part of any input takes longer than in proportion")
    return faults


def merge(program, target):
    merged = WORK / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    small = WORK / "small" / target
    shutil.rmtree(small, ignore_errors=True)
    small.mkdir(parents=True)
    for path in (WORK / "corpus" / target).glob("*"):
        if path.stat().st_size <= KEPT_BYTES:
            shutil.copy(path, small)
    result = run(program, target, ["-set_cover_merge=1", merged, TREE / target, small])
    if result.returncode:
        raise SystemExit(result.stdout[-4_000:])
    known = {path.read_bytes() for path in (TREE / target).iterdir()}
    new = [path for path in sorted(merged.iterdir(), key=lambda path: path.stat().st_size) if path.read_bytes() not in known]
    room = max(0, KEPT_FILES - len(known))
    for path in new[:room]:
        shutil.copy(path, TREE / target / path.name[:12])
    say(f"{target}: {len(known)} files, and {min(room, len(new))} new ones of {len(new)}")

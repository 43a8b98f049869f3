"""documentation.py [MODULE...]: builds the documentation of every module, or of those that are named, from the build of the tests.

A warning is an error: a link that leads nowhere, a parameter that the comment leaves out or that does not exist. Every type and every
function that another module can see has a comment; so has every public declaration of the two clients, which other projects use.

The compiler writes the symbol graphs, called as the build calls it. `swift package dump-symbol-graph` is shorter, but it leaves out each
declaration that names a type which its module imports for the package alone.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parent.parent.resolve()
BUILD = ROOT / ".build-test/debug.yaml"
# A program has no declaration that another module sees, and no graph; its catalog needs one.
PROGRAMS = {"baton"}
EMPTY_GRAPH = {
    "metadata": {"formatVersion": {"major": 0, "minor": 6, "patch": 0}, "generator": ""}, "symbols": [], "relationships": []}
PUBLISHED = {"AMQPClient", "PostgresClient"}
# What its name alone may explain.
PLAIN = {"swift.property", "swift.type.property", "swift.enum.case", "swift.init"}
# What belongs to the build and would be written into it.
DROPPED = {
    "-c", "-emit-dependencies", "-emit-module", "-emit-objc-header", "-enable-batch-mode", "-g", "-incremental", "-parseable-output",
    "-serialize-diagnostics"}
DROPPED_WITH_VALUE = {
    "-emit-module-path", "-emit-objc-header-path", "-index-store-path", "-j", "-module-cache-path", "-output-file-map"}


def modules():
    folders = [path for path in sorted((ROOT / "Sources").iterdir()) if any(path.rglob("*.swift"))]
    return [path.name for path in folders if path.name != "Examples" and "-" not in path.name]


def compiler_call(module):
    found = re.search(rf'^    args: (\[.*"-module-name","{module}",.*\])$', BUILD.read_text(), re.M)
    if not found:
        sys.exit(f"{BUILD}: no module {module}; build it with deploy/check")
    words = iter(json.loads(found[1]))
    for word in words:
        if word == "-Xcc":
            yield from (word, next(words))
        elif word in DROPPED_WITH_VALUE:
            next(words)
        elif word not in DROPPED:
            yield word


def without_resources(word, folder):
    """The list of sources with an empty table in place of each embedded file: checking their types takes longer than all the rest."""
    if not word.startswith("@"):
        return word
    sources = pathlib.Path(word[1:]).read_text().split("\n")
    for index, source in enumerate(sources):
        if source.strip("'").endswith("/embedded_resources.swift"):
            text = pathlib.Path(source.strip("'")).read_text()
            sources[index] = f"{folder}/embedded_resources.swift"
            pathlib.Path(sources[index]).write_text(re.sub(r"= \[[\d,\s]*\]", "= []", text))
    pathlib.Path(folder, "sources").write_text("\n".join(sources))
    return f"@{folder}/sources"


def run(command):
    """What a command says if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    return (result.stdout + result.stderr).splitlines() if result.returncode else []


def without_comment(module, graphs):
    for graph in (json.loads(path.read_text()) for path in graphs):
        # What a protocol asks for has the protocol's comment.
        required = {relation["source"] for relation in graph["relationships"] if "sourceOrigin" in relation}
        for symbol in graph["symbols"]:
            if "docComment" in symbol or "location" not in symbol or symbol["identifier"]["precise"] in required:
                continue
            if module in PUBLISHED or symbol["kind"]["identifier"] not in PLAIN:
                place = symbol["location"]
                file = place["uri"].split(f"{ROOT}/")[-1]
                yield f"{file}:{place['position']['line'] + 1}: no comment on {'.'.join(symbol['pathComponents'])}"


def faults(module):
    with tempfile.TemporaryDirectory() as folder:
        graphs = pathlib.Path(folder, "graphs")
        graphs.mkdir()
        if module in PROGRAMS:
            (graphs / f"{module}.symbols.json").write_text(json.dumps(EMPTY_GRAPH | {"module": {"name": module, "platform": {}}}))
            found = []
        else:
            found = run([
            *(without_resources(word, folder) for word in compiler_call(module)),
            "-emit-module", "-emit-module-path", f"{folder}/{module}.swiftmodule",
            "-emit-symbol-graph", "-emit-symbol-graph-dir", str(graphs), "-symbol-graph-minimum-access-level", "package",
            "-Xfrontend", "-experimental-skip-non-inlinable-function-bodies"])
        if found:
            return found
        catalog = ROOT / f"Sources/{module}/{module}.docc"
        found = run([
            docc(), "convert", *([str(catalog)] if catalog.exists() else []), "--additional-symbol-graph-dir", str(graphs),
            "--output-path", f"{folder}/output", "--warnings-as-errors", "--fallback-display-name", module,
            "--fallback-bundle-identifier", module])
        return [line for line in found if line.strip()] + list(without_comment(module, sorted(graphs.iterdir())))


def docc():
    """The one next to the compiler."""
    compiler = shutil.which("swift") or sys.exit("swift is not in PATH")
    return shutil.which("docc") or str(pathlib.Path(compiler).resolve().with_name("docc"))


def main():
    names = sys.argv[1:] or modules()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lines = [f"{name}: {line}" for name, found in zip(names, pool.map(faults, names)) for line in found]
    if lines:
        sys.exit("\n".join(lines))
    print(f"    {len(names)} modules")


if __name__ == "__main__":
    main()

"""pages.py [--write]: what the pages, alerts, dashboard and manifests name exists.

Every alert has a runbook and a test in which it fires; every link leads to a file; every `baton …` command, BATON_ setting and metric
that is named anywhere in deploy is one of the program's, the dashboard shows every metric that an alert asks for, every object of kubectl one of the manifests', every unit of systemctl one of
deploy/systemd, and every one that can be enabled is named; the alerts of deploy/kubernetes are those of deploy/prometheus.
"""
import fnmatch
import json
import pathlib
import re
import shlex
import sys

import yaml

DEPLOY = pathlib.Path(__file__).parent
ROOT = DEPLOY.parent
RULES = DEPLOY / "prometheus/baton.rules.yaml"
OPERATOR_RULES = DEPLOY / "kubernetes/components/monitoring/rules.yaml"
OPERATOR_HEAD = """\
# deploy/prometheus/baton.rules.yaml as the Prometheus operator takes it; `deploy/check --write` makes it anew.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: baton
  labels: { app.kubernetes.io/part-of: baton }
spec:
"""
# Stands in every alert, and is replaced by one command or one value.
RUNBOOKS = "https://runbooks.example.com/baton"
HEADINGS = ["## What it means", "## What to look at", "## What to do"]


def swift(folder):
    return "\n".join(path.read_text() for path in sorted((ROOT / "Sources" / folder).rglob("*.swift")))


def texts(*endings):
    """Every file of deploy with one of these endings, with its text."""
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and (path.suffix in endings or path.name in endings):
            yield path, path.read_text()


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def check_alerts():
    names = {alert["alert"] for alert in alerts()}
    tests = yaml.safe_load((DEPLOY / "prometheus/baton.rules.test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    fired = {case["alertname"] for case in cases if case.get("exp_alerts")}
    quiet = {case["alertname"] for case in tests[0]["alert_rule_test"] if not case.get("exp_alerts")}
    yield from (f"{name} fires in no test" for name in names - fired)
    yield from (f"{name} is not in the test of a healthy system" for name in names - quiet)
    yield from (f"{name}: a test of no alert" for name in (fired | quiet) - names)
    pages = {path.stem: path for path in (DEPLOY / "runbooks").glob("Baton*.md")}
    yield from (f"{name} has no runbook" for name in names - pages.keys())
    yield from (f"{name}: a runbook of no alert" for name in pages.keys() - names)
    index = (DEPLOY / "runbooks/README.md").read_text()
    for name, path in pages.items():
        if [line for line in path.read_text().splitlines() if line.startswith("## ")] != HEADINGS:
            yield f"{path}: its headings are not {HEADINGS}"
        if f"({path.name})" not in index:
            yield f"{path} is not in runbooks/README.md"
    for alert in alerts():
        if alert["annotations"]["runbook_url"] != f"{RUNBOOKS}/{alert['alert']}":
            yield f"{alert['alert']} names another runbook"
        if alert["labels"]["severity"] not in ("critical", "warning", "info"):
            yield f"{alert['alert']} has a severity that kube-prometheus does not route"


def check_operator_rules(write):
    lines = RULES.read_text()
    made = OPERATOR_HEAD + "".join("  " + line if line.strip() else line for line in lines[lines.index("groups:"):].splitlines(True))
    if write:
        OPERATOR_RULES.write_text(made)
    elif OPERATOR_RULES.read_text() != made:
        yield f"{OPERATOR_RULES} is not made of {RULES}: run deploy/check --write"


def check_metrics():
    known = set(re.findall(r'"(baton_[a-z_]+)"', (ROOT / "Sources/Telemetry/BatonMetrics.swift").read_text()))
    known |= {name + ending for name in known for ending in ("_bucket", "_sum", "_count")}
    known |= {rule["record"].split(":")[1] for rule in rules() if "record" in rule}
    places = [(RULES, RULES.read_text()), (DEPLOY / "kubernetes/components/keda/scale.yaml", None)]
    expressions = [(path, text or path.read_text()) for path, text in places]
    dashboard = DEPLOY / "grafana/baton.json"
    panels = [(dashboard, t["expr"]) for p in json.loads(dashboard.read_text())["panels"] for t in p.get("targets", [])]
    expressions += panels
    for path, text in expressions:
        yield from (f"{path}: no metric is called {name}" for name in set(re.findall(r"\bbaton_[a-z_]+", text)) - known)
    shown = {re.sub("_(bucket|sum|count)$", "", name) for _, text in panels for name in re.findall(r"\bbaton_[a-z_]+", text)}
    for alert in alerts():
        asked = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bbaton_[a-z_]+", alert["expr"])}
        yield from (f"{alert['alert']} asks for {name}, which the dashboard does not show" for name in sorted(asked - shown))


def check_scaling():
    """The scaler's query is one of those that have a test."""
    triggers = yaml.safe_load((DEPLOY / "kubernetes/components/keda/scale.yaml").read_text())["spec"]["triggers"]
    tests = yaml.safe_load((DEPLOY / "prometheus/baton.rules.test.yaml").read_text())["tests"]
    tested = {case["expr"] for test in tests for case in test.get("promql_expr_test", [])}
    yield from (f"the scaler's query has no test: {t['metadata']['query']}" for t in triggers if t["metadata"]["query"] not in tested)


def setting_keys():
    """As the configuration file has them."""
    return re.findall(r'@Setting\(\s*"(\w+)"', (ROOT / "Sources/Settings/Settings.swift").read_text())


def check_settings():
    known = {f"BATON_{key.upper()}" for key in setting_keys()}
    for path, text in texts(".md", ".yaml", ".conf", ".service", ".example", "Dockerfile"):
        for name in set(re.findall(r"\bBATON_[A-Z_]+[A-Z]", text)) - known:
            if not re.match("BATON_(TEST|BENCH|KEEP)", name):
                yield f"{path}: no setting is called {name}"


def code(text):
    """What stands in code in a page: indented or fenced blocks, and between backticks."""
    text = re.sub(r"```\w*\n(.*?)```", lambda m: "\n".join("    " + line for line in m[1].splitlines()), text, flags=re.S)
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return blocks + re.findall(r"`([^`\n]+)`", "\n".join(line for line in text.splitlines() if not line.startswith("    ")))


def check_commands():
    """`baton verb [noun]`, with all its flags."""
    source = swift("baton")
    verbs = set(re.findall(r'commandName: "(\w+)"', source))
    flags, is_flag = set(), False
    for line in source.splitlines():
        is_flag = is_flag or line.lstrip().startswith(("@Flag", "@Option"))
        if is_flag and (name := re.match(r" *var (\w+)|.*\) var (\w+)", line)):
            flags.add("--" + re.sub("([A-Z])", lambda m: "-" + m[1].lower(), name[1] or name[2]))
            is_flag = False
    flags |= {"--" + name for name in re.findall(r'customLong\("([a-z-]+)"\)', source)}
    flags |= {"--" + key.replace("_", "-") for key in setting_keys()}
    flags |= {"--help", "--version", "--config"}
    nested = {"dead", "owner", "integration", "config"}
    for path, text in texts(".md"):
        for snippet in code(text):
            for words in re.findall(r"(?<!-n )(?<!--product )(?<!generic )(?<!install )(?<!--namespace )(?<!helm/)(?<!TO/)(?:^|(?<=[\s/;&|(]))baton((?: [\w.:/@<>…-]+)+)", snippet):
                words = words.split()
                if not words[0].islower() or not words[0].isalpha():
                    words = [word for word in words if word.startswith("--")]
                elif words[0] not in verbs:
                    yield f"{path}: no command `baton {words[0]}`"
                elif words[0] in nested and len(words) > 1 and words[1] not in verbs:
                    yield f"{path}: no command `baton {words[0]} {words[1]}`"
                for flag in words:
                    if flag.startswith("--") and flag != "--" and flag not in flags:
                        yield f"{path}: no flag {flag} in `baton {' '.join(words)}`"


def calls(text, program):
    """The words behind a program's name, of each of its calls in code."""
    for snippet in code(text):
        for call in re.findall(rf"(?:^|(?<=[;&|(] )){program} ([^;&|]*)", snippet):
            yield shlex.split(call.removesuffix("\\"), comments=True)


SHORT_KINDS = {"deploy": "deployment"}


def manifests():
    """The objects of the manifests, as `deployment/consume`, and the components that pods are labelled with."""
    objects, components = set(), set()
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        text = path.read_text()
        components |= set(re.findall(r"app.kubernetes.io/component: ([a-z-]+)", text))
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict) and "metadata" in each]
        objects |= {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in documents}
    return objects, components


def check_kubectl():
    """What kubectl is asked for in the namespace baton is there."""
    objects, components = manifests()
    for path, text in texts(".md"):
        for words in calls(text, "kubectl"):
            command = f"`kubectl {' '.join(words)}`"
            if words[0] in ("apply", "kustomize") or words[:2] == ["create", "namespace"]:
                continue
            if words[:2] != ["-n", "baton"]:
                yield f"{path}: {command} does not begin with the namespace"
                continue
            selectors = " ".join(after for word, after in zip(words, words[1:]) if word == "-l")
            asked = {name for names in re.findall(r"component(?:=| in \()([a-z, -]+)", selectors) for name in names.split(", ")}
            yield from (f"{path}: {command}: no pod has the component {name}" for name in asked - components)
            # `KIND NAME` of one kind, or `KIND/NAME`.
            named = re.findall(r" (?:--from=)?([a-z]+)/([a-z-]+)(?= |$)", " " + " ".join(words).split(" -- ")[0])
            if words[2] in ("get", "scale", "patch", "delete", "rollout"):
                named += re.findall(r"^(?:\w+ )(?:status |undo |restart )?([a-z]+) ([a-z][a-z-]*)(?= |$)", " ".join(words[2:]))
            for kind, name in named:
                if f"{SHORT_KINDS.get(kind, kind)}/{name}" not in objects:
                    yield f"{path}: {command}: the manifests have no {kind} {name}"


def check_units():
    """What systemctl and journalctl are asked for is a unit of deploy/systemd."""
    units = [path.name for path in (DEPLOY / "systemd").iterdir() if path.suffix in (".service", ".timer", ".target")]
    instances = [unit.replace("@.", f"@{number:02}.") for unit in units for number in range(1, 10 if "@." in unit else 2)]
    for path, text in texts(".md"):
        for words in [*calls(text, "systemctl"), *calls(text, "journalctl")]:
            for word in words:
                pattern = re.sub(r"\{(\d\d)\.\.\d\d\}", r"\1", word)
                pattern += "" if pattern.endswith((".service", ".timer", ".target")) else ".service"
                if word.startswith("baton") and not fnmatch.filter(instances, pattern):
                    yield f"{path}: deploy/systemd has no unit {word}"
    # What is enabled by hand is named where it is installed, and goes with the package.
    for unit in units:
        if "[Install]" not in (DEPLOY / "systemd" / unit).read_text():
            continue
        for name in ("systemd/README.md", "debian/README.md", "debian/postrm"):
            called = unit if name.endswith("postrm") else unit.removesuffix(".service")
            end = "" if called.endswith("@") else r"(?![\w-])"
            if not re.search(rf"(?<![\w-]){re.escape(called)}{end}", (DEPLOY / name).read_text()):
                yield f"{DEPLOY / name} does not name {unit}, which is enabled by hand"


def check_links():
    for path, text in [*texts(".md"), *((path, path.read_text()) for path in sorted(ROOT.glob("*.md")))]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in link and not (path.parent / link).exists():
                yield f"{path}: leads to {link}, which is not there"
    index = (DEPLOY / "README.md").read_text()
    for path in sorted(DEPLOY.rglob("*.md")):
        name = str(path.relative_to(DEPLOY))
        if name != "README.md" and not name.startswith("runbooks/Baton") and f"({name})" not in index:
            yield f"{path} is not in deploy/README.md"


def check_images():
    """Every image that is built from or run has its tag in container/images, so that container/pin finds its digest."""
    known = set((DEPLOY / "container/images").read_text().split())
    for name in ("Dockerfile", "compose.yaml"):
        text = (DEPLOY / "container" / name).read_text()
        named = {f"{n}={tag}" for n, tag in re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", text)}
        named |= {f"{n}={tag}" for n, tag in re.findall(r"^ARG (\w+_IMAGE)=(\S+)", text, re.M)}
        yield from (f"container/{name}: {image} is not in container/images" for image in sorted(named - known))
        plain = re.findall(r"^\s+image: ([^$\s]+)|^FROM (?!\$|scratch|build|runtime)(\S+)", text, re.M)
        yield from (f"container/{name}: {a or b} cannot be pinned" for a, b in plain if (a or b) != "baton")


def check_bill():
    """container/sbom.py lists every pinned Swift package and every installed Debian package, each with its version."""
    sys.path.insert(0, str(DEPLOY / "container"))
    import sbom
    resolved = json.dumps({"pins": [{"location": "https://github.com/apple/swift-nio.git", "state": {"version": "2.1.0", "revision": "c0"}}]})
    status = "Package: libpq5\nStatus: install ok installed\nArchitecture: amd64\nVersion: 15.18-0+deb12u1\n\n" \
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    made = sbom.bill(resolved, status, "1.0.0")
    listed = [part["purl"] for part in made["components"]]
    if listed != ["pkg:deb/debian/libpq5@15.18-0%2Bdeb12u1?arch=amd64&distro=debian-12", "pkg:swift/github.com/apple/swift-nio@2.1.0"]:
        yield f"container/sbom.py lists {listed}"
    if made["bomFormat"] != "CycloneDX" or made != sbom.bill(resolved, status, "1.0.0"):
        yield "container/sbom.py does not give the same list for the same input"


def main():
    write = "--write" in sys.argv
    found = [*check_operator_rules(write), *check_alerts(), *check_metrics(), *check_scaling(), *check_settings(), *check_commands(), *check_kubectl(), *check_units(), *check_links(), *check_images(), *check_bill()]
    print("\n".join(found) or f"    {len(alerts())} alerts with runbooks and tests; all names and links lead somewhere")
    sys.exit(bool(found))


main()

"""chart.py KUBECTL HELM [--write]: the chart in deploy/helm/baton is made from deploy/kubernetes, and renders to the same objects.

The templates are the manifests of the base and of the components reaper, keda, monitoring, tls and traces, with values in the places that
installations differ in; `deploy/check --write` makes them anew. Then the chart is linted, and rendered with the values of `RENDERINGS`; each rendering has
to give the very objects that kustomize gives, and the values of `REFUSED` to give none. They are left in .local/helm, for the checks that kustomize's own output goes through.
"""
import pathlib
import re
import subprocess
import sys

import yaml

DEPLOY = pathlib.Path(__file__).parent.parent
CHART = DEPLOY / "helm/baton"
OUTPUT = pathlib.Path(".local/helm")
RUNBOOKS = "https://runbooks.example.com/baton"
HEAD = "{{- /* Made from deploy/kubernetes: deploy/check --write. */}}\n"
# What kustomize is to render, and the values that ask the chart for the same. The last one has no counterpart.
ALL = ["reaper", "keda", "monitoring", "tls", "traces"]
RENDERINGS = {
    "default": (["reaper"], []),
    "small": ("overlays/small", ["produce.replicas=1", "consume.replicas=1", "serve.replicas=1", "reaper.enabled=false"]),
    "everything": (ALL, ["keda.enabled=true", "monitoring.enabled=true", "tls.enabled=true", "traces.enabled=true",
                         "settings.BATON_WORKER_URL=https://worker.reviews.svc:9000"]),
    "without-jobs": (["reaper"], ["prune.enabled=false", "catchUp.enabled=false"]),
    "extras": (None, ["ingress.enabled=true", "grafana.enabled=true", "image.tag=1.0.1", f"image.digest=sha256:{'0' * 64}", "prune.olderThan=400d", "image.pullSecrets[0].name=registry",
                      "pod.nodeSelector.pool=reviews", "pod.annotations.team=tools", "pod.priorityClassName=high", "monitoring.enabled=true",
                      "monitoring.labels.release=stack", "monitoring.runbooks=https://wiki.example.com/baton"]),
}
# What kustomize has, and the chart has not, with values that turn it off.
TURNED_OFF = {"without-jobs": {("CronJob", "prune"), ("CronJob", "catch-up")}}
# Values that would be read by nothing, or give what Kubernetes refuses.
REFUSED = ["prune.replicas=1", "catchUp.replicas=1", "serve.schedule=* * * * *", "serve.enabled=false", "reap.enabled=false", "prune.olderThan=90",
           f"image.tag=1.0.0@sha256:{'0' * 64}", "image.digest=1.0.0", "traces.endpoint=http://collector.observability.svc",
           "settings.BATON_OTLP_ENDPOINT=http://collector:4318", "settings.BATON_API_TOKEN=x"]
# Where a template stands, if it is not always rendered.
CONDITIONS = {("CronJob", "prune"): "prune", ("CronJob", "catch-up"): "catchUp", ("Deployment", "reaper"): "reaper", ("PodDisruptionBudget", "reaper"): "reaper", ("ScaledObject", "consume"): "keda",
              ("PodMonitor", "baton"): "monitoring"}


def kustomize(kubectl, components):
    if isinstance(components, str):
        return rendered(kubectl, DEPLOY / "kubernetes" / components)
    folder = OUTPUT / "kustomize"
    folder.mkdir(parents=True, exist_ok=True)
    up = "../../../deploy/kubernetes"
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "baton",
        "resources": [f"{up}/base"],
        # Without the scaler the number of consumers is the overlay's.
        "replicas": [] if "keda" in components else [{"name": "consume", "count": 2}],
        "components": [f"{up}/components/{name}" for name in components]}))
    return rendered(kubectl, folder)


def rendered(kubectl, folder):
    text = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


# --- templates ---


def value(expression):
    """Stands for `{{ expression }}` until the YAML is text."""
    return f"@<{expression}>@"


def block(expression):
    """Stands for the YAML of a value."""
    return f"@[{expression}]@"


def optional(expression, condition=None):
    """A key that is there only if its value is."""
    return f"@?{condition or expression}?{expression}?@"


def text_of(document):
    """YAML with the placeholders resolved."""
    lines = []
    for line in yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True).splitlines():
        indent = len(line) - len(line.lstrip())
        if match := re.fullmatch(r" *(- )?'?@\?(.*)\?(.*)\?@(.*?)'?: null", line):
            name = match[4]
            lines += [f"{' ' * indent}{{{{- if {match[2]} }}}}", f"{' ' * indent}{name}:",
                      f"{' ' * indent}  {{{{- toYaml ({match[3]}) | nindent {indent + 2} }}}}", f"{' ' * indent}{{{{- end }}}}"]
        elif match := re.fullmatch(r"( *[\w./-]+:) '?@\[(.*)\]@'?", line):
            lines += [match[1], f"{' ' * indent}  {{{{- toYaml {match[2]} | nindent {indent + 2} }}}}"]
        else:
            line = re.sub(r"'([^']*@<[^']*>@[^']*)'", r"\1", line)
            lines.append(re.sub(r"@<(.*?)>@", r"{{ \1 }}", line))
    return "\n".join(lines) + "\n"


def common(labels):
    return {**labels, "app.kubernetes.io/version": value("include \"baton.version\" . | quote"),
            "app.kubernetes.io/instance": value(".Release.Name"), "app.kubernetes.io/managed-by": value(".Release.Service"),
            "helm.sh/chart": value('printf "%s-%s" .Chart.Name .Chart.Version')}


def values(role):
    """A role's values: no hyphen may stand in the name of one."""
    first, *others = role.split("-")
    return ".Values." + first + "".join(word.capitalize() for word in others)


def pod_template(template, role):
    labels = {**template["metadata"]["labels"], "app.kubernetes.io/version": value("include \"baton.version\" . | quote")}
    # Other settings are another pod.
    settings = value('printf "%s %s %s" (toJson .Values.settings) (toJson .Values.tls) (toJson .Values.traces) | sha256sum | trunc 16 | quote')
    template["metadata"] = {"labels": labels, "annotations": {"baton/settings": settings, "@annotations@": None}}
    spec = template["spec"]
    container = spec["containers"][0]
    container["image"] = value('include "baton.image" . | quote')
    container["imagePullPolicy"] = value(".Values.image.pullPolicy")
    container["resources"] = block(f"{values(role)}.resources")
    for variable in container["env"]:
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) and reference["name"] == "baton":
            reference["name"] = value(".Values.secret")
    mounts, volumes = container.pop("volumeMounts"), spec.pop("volumes")
    volumes[0]["secret"]["secretName"] = "@secret@"
    container["@tls@mounts"], spec["@tls@volumes"] = mounts, volumes
    spec[optional(".Values.image.pullSecrets") + "imagePullSecrets"] = None
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        spec[optional(f".Values.pod.{name}") + name] = None


def template_of(document):
    kind, name = document["kind"], document["metadata"]["name"]
    document["metadata"]["namespace"] = value(".Release.Namespace")
    document["metadata"]["labels"] = common(document["metadata"].get("labels", {}))
    spec = document.get("spec", {})
    if kind == "ConfigMap":
        document["data"] = "@settings@"
    if kind in ("Deployment", "Job"):
        pod_template(spec["template"], name)
    if kind == "CronJob":
        spec["jobTemplate"]["metadata"]["labels"] = common(spec["jobTemplate"]["metadata"]["labels"])
        pod_template(spec["jobTemplate"]["spec"]["template"], name)
        spec["schedule"] = value(f"{values(name)}.schedule | quote")
    if (kind, name) == ("CronJob", "prune"):
        arguments = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
        arguments[arguments.index("--older-than") + 1] = value(".Values.prune.olderThan | quote")
    if kind == "Deployment":
        spec["replicas"] = value(f"{values(name)}.replicas")
    if kind == "ScaledObject":
        spec.update(minReplicaCount=value(".Values.keda.minReplicas"), maxReplicaCount=value(".Values.keda.maxReplicas"))
        spec["fallback"]["replicas"] = value(".Values.keda.fallbackReplicas")
        metadata = spec["triggers"][0]["metadata"]
        metadata.update(serverAddress=value(".Values.keda.prometheus | quote"), threshold=value(".Values.keda.reviewsPerPod | quote"),
                        query=metadata["query"].replace('namespace="baton"', f'namespace="{value(".Release.Namespace")}"'))
    if kind == "PodMonitor":
        document["metadata"]["labels"]["@more@"] = None
    return document


def finish(document, text):
    """What is no value of a key."""
    # Of pods that speak TLS alone.
    text = re.sub(r"^( *)'@tls@(mounts|volumes)':\n((?:\1(?:-| ) ?.*\n)+)", tls, text, flags=re.M)
    text = text.replace("'@secret@'", "{{ .Values.tls.secret }}").replace("@secret@", "{{ .Values.tls.secret }}")
    text = re.sub(r"^( *)'@more@': null\n", r"\1{{- with .Values.monitoring.labels }}{{ toYaml . | nindent 4 }}{{- end }}\n", text, flags=re.M)
    text = re.sub(r"^( *)'@annotations@': null\n", annotations, text, flags=re.M)
    text = re.sub(r"^data: '@settings@'\n", SETTINGS, text, flags=re.M)
    text = text.replace("kubernetes.io/metadata.name: monitoring", "kubernetes.io/metadata.name: {{ .Values.network.monitoring }}")
    text = text.replace("kubernetes.io/metadata.name: reviews", "kubernetes.io/metadata.name: {{ .Values.network.worker }}")
    text = text.replace("kubernetes.io/metadata.name: ingress", "kubernetes.io/metadata.name: {{ .Values.network.ingress }}")
    text = text.replace("kubernetes.io/metadata.name: observability", "kubernetes.io/metadata.name: {{ .Values.network.traces }}")
    text = text.replace("port: 4318", 'port: {{ include "baton.tracesPort" . }}')
    if document["kind"] == "Deployment" and document["metadata"]["name"] == "consume":
        text = re.sub(r"^  replicas: .*\n", "  {{- if not .Values.keda.enabled }}\n\\g<0>  {{- end }}\n", text, flags=re.M)
    if document["kind"] == "NetworkPolicy" and document["metadata"]["name"] == "baton":
        text = re.sub(r"^( *)- (port: 5671\n *protocol: TCP\n)", r"\g<0>\1{{- if not .Values.tls.enabled }}\n\1- port: 5672\n\1  protocol: TCP\n\1{{- end }}\n", text, flags=re.M)
    if document["kind"] == "Job":
        # A job cannot be changed: another image or other settings are another job.
        text = text.replace("  name: migrate\n", '  name: migrate-{{ printf "%s %s" (include "baton.image" .) (toJson .Values) | sha256sum | trunc 8 }}\n', 1)
    condition = CONDITIONS.get((document["kind"], document["metadata"]["name"]))
    if document["kind"] == "PodDisruptionBudget":
        role = document["metadata"]["name"]
        many = f"gt (int .Values.{role}.replicas) 1"
        if role == "consume":
            many = f"or .Values.keda.enabled ({many})"
        text = f"{{{{- if {f'and .Values.{condition}.enabled ({many})' if condition else many} }}}}\n{text}{{{{- end }}}}\n"
    elif condition:
        text = f"{{{{- if .Values.{condition}.enabled }}}}\n{text}{{{{- end }}}}\n"
    elif document["kind"] == "NetworkPolicy":
        wanted = "and .Values.network.enabled .Values.traces.enabled" if document["metadata"]["name"] == "baton-traces" else ".Values.network.enabled"
        text = f"{{{{- if {wanted} }}}}\n{text}{{{{- end }}}}\n"
    return text


SETTINGS = """\
data:
  {{- range $key, $value := .Values.settings }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
  {{- if .Values.tls.enabled }}
  BATON_CA_FILE: /etc/baton/tls/ca.crt
  {{- end }}
  {{- if .Values.traces.enabled }}
  BATON_OTLP_ENDPOINT: {{ .Values.traces.endpoint | quote }}
  BATON_TRACE_RATIO: {{ .Values.traces.ratio | quote }}
  {{- end }}
"""


def annotations(match):
    indent = match[1]
    return f"{indent}{{{{- with .Values.pod.annotations }}}}\n{indent}{{{{- toYaml . | nindent {len(indent)} }}}}\n{indent}{{{{- end }}}}\n"


def tls(match):
    indent = match[1]
    name = {"mounts": "volumeMounts", "volumes": "volumes"}[match[2]]
    return f"{indent}{{{{- if .Values.tls.enabled }}}}\n{indent}{name}:\n{match[3]}{indent}{{{{- end }}}}\n"


def templates(kubectl):
    """Each role's objects in one file, as far as they have one."""
    files = {}
    for document in kustomize(kubectl, ALL):
        kind, name = document["kind"], document["metadata"]["name"]
        if kind == "PrometheusRule":
            continue
        file = {"ConfigMap": "settings", "ServiceAccount": "identity", "NetworkPolicy": "network", "PodMonitor": "monitoring",
                "ScaledObject": "keda", "Service": "serve"}.get(kind, name)
        original = {"kind": kind, "metadata": {"name": name}}
        files.setdefault(f"templates/{file}.yaml", []).append(finish(original, text_of(template_of(document))))
    made = {path: HEAD + "---\n".join(texts) for path, texts in files.items()}
    made["files/baton.rules.yaml"] = (DEPLOY / "prometheus/baton.rules.yaml").read_text()
    made["files/baton.json"] = (DEPLOY / "grafana/baton.json").read_text()
    return made


# --- comparison ---


def comparable(document):
    """Without what only Helm adds, or kustomize."""
    labels = document["metadata"].pop("labels", None) or {}
    for name in ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"):
        labels.pop(name, None)
    # Made by hand in the components; the chart gives every object the same.
    for name in ("app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/version"):
        labels.pop(name, None)
    document["metadata"]["labels"] = labels
    for job in find(document, "jobTemplate"):
        for name in ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"):
            job["metadata"]["labels"].pop(name, None)
    if document["kind"] == "Job":
        document["metadata"]["name"] = document["metadata"]["name"].split("-")[0]
    for pod in find(document, "template"):
        pod.get("metadata", {}).pop("annotations", None)
    text = yaml.safe_dump(document)
    return (document["kind"], document["metadata"]["name"]), re.sub(r"\n *imagePullPolicy: IfNotPresent", "", text)


def find(value, key):
    """Every object that stands under a key, at any depth."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if name == key:
            yield inner
        yield from find(inner, key)


def render(helm, values):
    words = [word for each in values for word in ("--set", each)]
    text = subprocess.run([helm, "template", "baton", CHART, "--namespace", "baton", *words], check=True, capture_output=True, text=True).stdout
    return text, [document for document in yaml.safe_load_all(text) if document]


def differences(kubectl, helm):
    for name, (components, values) in RENDERINGS.items():
        text, documents = render(helm, values)
        (OUTPUT / f"{name}.yaml").write_text(text)
        if components is None:
            continue
        wanted = dict(map(comparable, kustomize(kubectl, components)))
        yield from (f"{name}: kustomize has no {' '.join(key)}" for key in TURNED_OFF.get(name, set()) - wanted.keys())
        wanted = {key: text for key, text in wanted.items() if key not in TURNED_OFF.get(name, ())}
        found = dict(map(comparable, documents))
        yield from (f"{name}: the chart has no {' '.join(key)}" for key in wanted.keys() - found.keys())
        yield from (f"{name}: only the chart has {' '.join(key)}" for key in found.keys() - wanted.keys())
        for key in sorted(wanted.keys() & found.keys()):
            if wanted[key] != found[key]:
                ours, theirs = yaml.safe_load(wanted[key]), yaml.safe_load(found[key])
                yield f"{name}: {' '.join(key)} is not the same: {first_difference(ours, theirs)}"


def accepted(helm):
    """The values that should be refused, and are not."""
    for value in REFUSED:
        found = subprocess.run([helm, "template", "baton", CHART, "--set", value], capture_output=True, text=True)
        if found.returncode == 0 or "values don't meet the specifications of the schema" not in found.stderr:
            yield f"the chart's schema does not refuse {value}: {found.stderr.strip()}"


def first_difference(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            if ours.get(key) != theirs.get(key):
                return first_difference(ours.get(key), theirs.get(key), f"{path}.{key}")
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (our, their) in enumerate(zip(ours, theirs)):
            if our != their:
                return first_difference(our, their, f"{path}[{index}]")
    return f"{path}: {str(ours)[:100]} in kustomize, {str(theirs)[:100]} in the chart"


def main():
    kubectl, helm = sys.argv[1:3]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    made, found = templates(kubectl), []
    if "--write" in sys.argv:
        for path, text in made.items():
            (CHART / path).parent.mkdir(parents=True, exist_ok=True)
            (CHART / path).write_text(text)
    for path, text in made.items():
        if not (CHART / path).exists() or (CHART / path).read_text() != text:
            found.append(f"{CHART / path} is not made of deploy/kubernetes: run deploy/check --write")
    lint = subprocess.run([helm, "lint", "--strict", "--quiet", CHART], capture_output=True, text=True)
    if lint.returncode:
        found.append(lint.stdout + lint.stderr)
    found += [*differences(kubectl, helm), *accepted(helm)]
    print("\n".join(found) or f"    the chart gives what kustomize gives: {', '.join(RENDERINGS)}")
    sys.exit(bool(found))


main()

"""validate.py MANIFESTS: what the schemas of Kubernetes itself do not say.

Custom resources are held against schemas.yaml; every container is hardened and has its requests; selectors, ports and
references to settings meet what they name. (As files of one rendering: `kubectl kustomize FOLDER`.)
"""
import math
import pathlib
import re
import sys

import jsonschema
import yaml

SCHEMAS = yaml.safe_load((pathlib.Path(__file__).parent / "schemas.yaml").read_text())
# Made by hand or by an operator, not by these manifests.
SECRETS = {"baton", "baton-tls", "baton-user-credentials"}


def pods(document):
    """The pod templates of a workload: none or one."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return [spec["template"]] if "template" in spec and document["kind"] in ("Deployment", "Job", "CronJob") else []


def faults(documents):
    yield from version_faults(documents)
    settings = {d["metadata"]["name"] for d in documents if d["kind"] == "ConfigMap"}
    labels = [pod["metadata"]["labels"] for d in documents for pod in pods(d)]
    ports = {port["name"] for d in documents for pod in pods(d) for c in pod["spec"]["containers"] for port in c.get("ports", [])}
    workloads = {(d["kind"], d["metadata"]["name"]) for d in documents}
    for document in documents:
        kind, name = document["kind"], f"{document['kind']} {document['metadata']['name']}"
        if document["metadata"].get("namespace") != "baton":
            yield f"{name} is in no namespace"
        if schema := SCHEMAS.get(kind):
            for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
                yield f"{name}: {error.json_path}: {error.message}"
        if "BATON_CA_FILE" in str(documents) and (port := re.search(r"amqp://|'port': 5672\b", str(document))):
            yield f"{name} has {port[0]}: with components/tls nothing goes without TLS"
        for pod in pods(document):
            yield from (f"{name}: {fault}" for fault in pod_faults(pod["spec"], settings))
        selector = document.get("spec", {}).get("selector")
        if kind == "PodDisruptionBudget":
            selector = selector["matchLabels"]
        if kind in ("Service", "PodDisruptionBudget") and not any(selector.items() <= label.items() for label in labels):
            yield f"{name} selects no pod"
        if kind == "PodMonitor":
            scraped = {end["port"] for end in document["spec"]["podMetricsEndpoints"]}
            if not scraped <= ports:
                yield f"{name} scrapes a port that no pod has"
            yield from (f"{name} {fault}" for fault in scrape_faults(documents, scraped))
        if kind == "ScaledObject" and ("Deployment", document["spec"]["scaleTargetRef"]["name"]) not in workloads:
            yield f"{name} scales nothing"


def scrape_faults(documents, scraped):
    """Of a container that is scraped by two ports every figure counts twice. Prometheus is let in to no other port."""
    numbers = set()
    for document in documents:
        for pod in pods(document):
            for container in pod["spec"]["containers"]:
                found = {port["name"]: port["containerPort"] for port in container.get("ports", []) if port["name"] in scraped}
                numbers |= set(found.values())
                if container.get("ports") and len(found) != 1:
                    yield f"scrapes {container['name']} by {len(found)} ports: {', '.join(found) or 'none'}"
    policy = next((d for d in documents if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "baton"), None)
    for rule in policy["spec"]["ingress"] if policy else []:
        if other := {port["port"] for port in rule["ports"]} - numbers:
            yield f"does not scrape {other}, and the network policy baton lets it in"


def version_faults(documents):
    """Every container of Baton runs the same image, and workloads, their jobs and pods have its version as a label."""
    images = set()
    for document in documents:
        for pod in pods(document):
            images |= {container["image"] for container in pod["spec"]["containers"]}
            jobs = [document["spec"]["jobTemplate"]["metadata"]["labels"]] if document["kind"] == "CronJob" else []
            for labels in (document["metadata"]["labels"], *jobs, pod["metadata"]["labels"]):
                if labels.get("app.kubernetes.io/version") != pod["spec"]["containers"][0]["image"].split("@")[0].rsplit(":", 1)[-1]:
                    yield f"{document['kind']} {document['metadata']['name']}: its label of the version is not the image's"
    if len(images) != 1:
        yield f"there are several images: {', '.join(sorted(images))}"


def pod_faults(spec, settings):
    if not spec["securityContext"].get("runAsNonRoot"):
        yield "may run as root"
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for volume in spec.get("volumes", []):
        if "secret" in volume and volume["secret"]["secretName"] not in SECRETS:
            yield f"no Secret {volume['secret']['secretName']}"
    for container in spec["containers"]:
        if missing := {mount["name"] for mount in container.get("volumeMounts", [])} - volumes:
            yield f"it mounts {missing}, which are no volumes"
        context = container["securityContext"]
        if not context.get("readOnlyRootFilesystem") or context.get("allowPrivilegeEscalation") is not False:
            yield "its root can be written, or privileges gained"
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            yield "it has capabilities"
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            yield "it asks for no resources"
        own = {port["name"] for port in container.get("ports", [])}
        for probe in ("livenessProbe", "readinessProbe"):
            if own and container.get(probe, {}).get("httpGet", {}).get("port") not in own:
                yield f"{probe} is missing, or asks another port"
        for source in container.get("envFrom", []):
            if source["configMapRef"]["name"] not in settings:
                yield f"no ConfigMap {source['configMapRef']['name']}"
        seen = set()
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef", {"name": "baton"})
            if reference["name"] not in SECRETS:
                yield f"no Secret {reference['name']}"
            for used in [word.split(")")[0] for word in variable.get("value", "").split("$(")[1:]]:
                if used not in seen:
                    yield f"{variable['name']} refers to {used}, which is not set before it"
            seen.add(variable["name"])


def connections(documents):
    """Of Postgres, at the most: a pool for each process and one more, a reaper two more; with all that a rollout adds."""
    settings = next(d["data"] for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "baton")
    scaled = {d["spec"]["scaleTargetRef"]["name"]: d["spec"]["maxReplicaCount"] for d in documents if d["kind"] == "ScaledObject"}
    total = 0
    for document in documents:
        for pod in pods(document):
            each = int(settings.get("BATON_DATABASE_POOL", 4)) + (2 if pod["spec"]["containers"][0]["args"][0] == "reap" else 1)
            count = scaled.get(document["metadata"]["name"], document["spec"].get("replicas", 1))
            surge = str(document["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", 0))
            total += each * (count + (math.ceil(count * int(surge[:-1]) / 100) if surge.endswith("%") else int(surge)))
    return total


def connection_faults(documents):
    """The sum in scaling.md is that of the largest installation."""
    if any(d["kind"] == "RabbitmqCluster" for d in documents):
        said = re.search(r"\| together \| \*\*(\d+)\*\*", (pathlib.Path(__file__).parent.parent / "scaling.md").read_text())
        if int(said[1]) != connections(documents):
            yield f"scaling.md says {said[1]} connections of Postgres, and there may be {connections(documents)}"


def main():
    documents = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d]
    found = [*faults(documents), *connection_faults(documents)]
    print("\n".join(found))
    sys.exit(bool(found))


main()

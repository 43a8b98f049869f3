"""sbom.py RESOLVED DPKG_STATUS VERSION: a list of what the image is made of, as CycloneDX 1.5 in JSON, on standard output.

RESOLVED is Package.resolved of the build: each Swift package with its version and commit. DPKG_STATUS is /var/lib/dpkg/status of the image:
each Debian package that is installed. VERSION is Baton's. The same input gives the same text: no time, and a serial number made of it.
"""
import hashlib
import json
import pathlib
import sys
import uuid


def swift_packages(resolved):
    for pin in json.loads(resolved)["pins"]:
        location = pin["location"].removesuffix(".git")
        place = location.removeprefix("https://")
        version = pin["state"]["version"]
        purl = f"pkg:swift/{place}@{version}"
        yield {
            "type": "library", "bom-ref": purl, "group": place.rsplit("/", 1)[0], "name": place.rsplit("/", 1)[1],
            "version": version, "purl": purl, "externalReferences": [{"type": "vcs", "url": location}],
            "properties": [{"name": "baton:commit", "value": pin["state"]["revision"]}],
        }


def debian_packages(status):
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={machine}&distro=debian-12"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def bill(resolved, status, version):
    components = sorted([*swift_packages(resolved), *debian_packages(status)], key=lambda part: part["bom-ref"])
    baton = {"type": "application", "bom-ref": f"baton@{version}", "name": "baton", "version": version}
    digest = hashlib.sha256(json.dumps([baton, components], sort_keys=True).encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}", "version": 1, "metadata": {"component": baton},
        "components": components,
        "dependencies": [{"ref": baton["bom-ref"], "dependsOn": [part["bom-ref"] for part in components]}],
    }


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    resolved, status = (pathlib.Path(path).read_text() for path in sys.argv[1:3])
    print(json.dumps(bill(resolved, status, sys.argv[3]), indent=1))

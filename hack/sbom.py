"""The software bill of materials of the environment that runs this: one CycloneDX 1.6 document on standard output.

Run by `make sbom`, and with the image's own Python as the last step of its build: what it lists is what is installed there, not what a lock
file would have. The same environment gives the same bytes. Beside the standard library it needs `packaging`, which the product has.
"""

import json
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT = "solarinvest-monitor"
DEBIAN_PACKAGES = Path("/var/lib/dpkg/status")
OS_RELEASE = Path("/etc/os-release")


def needed(product: str = PRODUCT) -> dict[str, list[str]]:
    """Every distribution that the product needs here, itself included, and those that each needs directly. By canonical names."""
    found: dict[str, list[str]] = {}
    extras: dict[str, set[str]] = {product: set()}
    waiting = [product]
    while waiting:
        name = waiting.pop()
        requirements = [req for req in _requirements(name, extras[name]) if _is_installed(req.name)]
        found[name] = sorted({canonicalize_name(req.name) for req in requirements})
        for requirement in requirements:
            known = extras.setdefault(canonicalize_name(requirement.name), set())
            if canonicalize_name(requirement.name) not in found or not requirement.extras <= known:
                known |= requirement.extras
                waiting.append(canonicalize_name(requirement.name))
    return found


def document(product: str = PRODUCT) -> dict[str, Any]:
    """The bill of materials: Python, its packages, and where this is Debian, the system's packages."""
    graph = needed(product)
    references = {name: _purl(name) for name in graph}
    components = [_component(name) for name in sorted(graph) if name != product]
    python = {"type": "platform", "bom-ref": "python", "name": "python", "version": platform.python_version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**_component(product), "type": "application"}},
        "components": [python, *components, *_debian_packages()],
        "dependencies": [
            {"ref": references[name], "dependsOn": [references[other] for other in others]} for name, others in sorted(graph.items())
        ],
    }


def _requirements(name: str, extras: set[str]) -> Iterator[Requirement]:
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _component(name: str) -> dict[str, Any]:
    info = metadata.metadata(name)
    component = {
        "type": "library",
        "bom-ref": _purl(name),
        "name": info["Name"],
        "version": info["Version"],
        "description": info["Summary"],
        "licenses": _licenses(info),
        "purl": _purl(name),
    }
    return {key: value for key, value in component.items() if value}


def _licenses(info: metadata.PackageMetadata) -> list[dict[str, Any]]:
    """An SPDX expression where the package has one; else what it says in words, if that is short enough to be a name."""
    values = {key: info[key] for key in ("License-Expression", "License") if key in info}
    if "License-Expression" in values:
        return [{"expression": values["License-Expression"]}]
    named = [line.rpartition(" :: ")[2] for line in info.get_all("Classifier") or () if line.startswith("License :: OSI Approved :: ")]
    said = values.get("License") or ""
    names = named or ([said] if 0 < len(said) <= 60 else [])
    return [{"license": {"name": name}} for name in sorted(set(names))]


def _purl(name: str) -> str:
    return f"pkg:pypi/{canonicalize_name(name)}@{metadata.version(name)}"


def _debian_packages() -> list[dict[str, Any]]:
    if not DEBIAN_PACKAGES.exists():
        return []
    release = dict(line.split("=", 1) for line in OS_RELEASE.read_text().splitlines() if "=" in line)
    distribution = f"debian-{release.get('VERSION_ID', '').strip(chr(34))}"
    packages = []
    for block in DEBIAN_PACKAGES.read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Status") == "install ok installed":
            version = fields["Version"].replace("+", "%2B").replace(":", "%3A")
            purl = f"pkg:deb/debian/{fields['Package'].replace('+', '%2B')}@{version}?arch={fields['Architecture']}&distro={distribution}"
            packages.append({"type": "library", "bom-ref": purl, "name": fields["Package"], "version": fields["Version"], "purl": purl})
    return sorted(packages, key=lambda package: package["bom-ref"])


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")

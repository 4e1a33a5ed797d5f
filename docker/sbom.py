"""Write what is in this image as a CycloneDX bill of materials: packages, and bundles of models.

Needs nothing but the standard library, and says the same of the same image every time.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

PROJECT = "panoptes"
Component = dict[str, object]


def python_packages() -> Iterator[Component]:
    """Every distribution on the path, with the licence that it states."""
    seen = set()
    for found in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        if name in seen:  # the first on the path is the one that is imported
            continue
        seen.add(name)
        component: Component = {
            "type": "application" if name == PROJECT else "library",
            "bom-ref": f"pkg:pypi/{name}@{quote(found.version)}",
            "name": name,
            "version": found.version,
            "purl": f"pkg:pypi/{name}@{quote(found.version)}",
        }
        if expression := found.metadata.get("License-Expression"):
            component["licenses"] = [{"expression": expression}]
        yield component


def debian_packages() -> Iterator[Component]:
    """Every package of the base; none where there is no dpkg."""
    form = "${Package}\t${Version}\t${Architecture}\n"
    try:
        listed = subprocess.run(
            ["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError:
        return
    release = platform.freedesktop_os_release()
    distro = f"{release['ID']}-{release.get('VERSION_ID', 'testing')}"
    for line in listed.splitlines():
        name, version, architecture = line.split("\t")
        purl = (
            f"pkg:deb/{release['ID']}/{quote(name)}@{quote(version)}"
            f"?arch={architecture}&distro={distro}"
        )
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }


def bundles(pack: Path) -> Iterator[Component]:
    """The models that ship with the server, each by the hash of its graphs."""
    for path in sorted(pack.glob("*/*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        ref = f"model:{manifest['name']}@{manifest['version']}"
        yield {
            "type": "machine-learning-model",
            "bom-ref": ref,
            "name": manifest["name"],
            "version": str(manifest["version"]),
            "description": manifest["summary"],
            "licenses": [{"expression": manifest["licence"]}],
            "components": [
                {
                    "type": "file",
                    "bom-ref": f"{ref}/{name}",
                    "name": name,
                    "hashes": [{"alg": "SHA-256", "content": digest["sha256"]}],
                }
                for name, digest in sorted(manifest["files"].items())
            ],
        }


def bill_of_materials() -> dict[str, object]:
    packages = sorted(python_packages(), key=lambda c: str(c["name"]))
    project = next(c for c in packages if c["name"] == PROJECT)
    server = importlib.util.find_spec("service")
    assert server is not None and server.origin is not None
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": project},
        "components": [
            *(c for c in packages if c is not project),
            *debian_packages(),
            *bundles(Path(server.origin).parent / "starter"),
        ],
    }


if __name__ == "__main__":
    json.dump(bill_of_materials(), sys.stdout, indent=1)

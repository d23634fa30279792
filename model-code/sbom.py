"""Prints what the image that it runs in holds, as a CycloneDX list (SBOM): sbom.py NAME VERSION.

Python's own packages come from their metadata, Debian's from dpkg. It is piped into the image,
`docker run -i IMAGE python3 - NAME VERSION <sbom.py`, and needs nothing but the standard library.
"""

import json
import platform
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG_STATUS = Path("/var/lib/dpkg/status")
FORMAT = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
Component = dict[str, Any]


def component(kind: str, name: str, version: str, url: str) -> Component:
    """Describe a part; its package URL is its identity."""
    return {"type": kind, "bom-ref": url, "name": name, "version": version, "purl": url}


def python_packages() -> Iterator[Component]:
    """Describe the interpreter and every installed distribution."""
    version = platform.python_version()
    yield component("platform", "python", version, f"pkg:generic/python@{version}")
    for found in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        url = f"pkg:pypi/{name}@{quote(found.version, safe='')}"
        expression = found.metadata.get("License-Expression")
        licensed = {"licenses": [{"expression": expression}]} if expression else {}
        yield component("library", name, found.version, url) | licensed


def debian_packages(status: str, system: dict[str, str]) -> Iterator[Component]:
    """Describe what dpkg's status file says is installed; system: /etc/os-release."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version|Architecture): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            release = f"{system['ID']}-{system.get('VERSION_ID', 'unstable')}"
            where = f"arch={fields['Architecture']}&distro={release}"
            url = f"pkg:deb/{system['ID']}/{name}@{quote(version, safe=':')}?{where}"
            yield component("library", name, version, url)


def bill(name: str, version: str) -> dict[str, Any]:
    """Return the whole document about this image, its parts in a fixed order."""
    parts = {part["purl"]: part for part in python_packages()}
    if DPKG_STATUS.is_file():
        system = platform.freedesktop_os_release()
        parts |= {part["purl"]: part for part in debian_packages(DPKG_STATUS.read_text(), system)}
    else:
        print(f"{DPKG_STATUS} is missing: the system's packages are not listed", file=sys.stderr)
    subject = {"type": "container", "bom-ref": "image", "name": name, "version": version}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        **FORMAT,
        "metadata": {"timestamp": made, "component": subject},
        "components": [parts[url] for url in sorted(parts)],
    }


if __name__ == "__main__":
    print(json.dumps(bill(*sys.argv[1:]), indent=1))

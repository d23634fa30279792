"""What the list of an image's contents says, from the metadata and dpkg's status file."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import sbom

DEBIAN = {"ID": "debian", "VERSION_ID": "13"}
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u1
Description: GNU C Library
 Version: of the description, not of the package

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: login
Status: install ok installed
Architecture: amd64
Version: 1:4.16.0-2+really2.41-5
"""


def test_only_installed_packages_of_debian_are_listed() -> None:
    listed = {part["name"]: part["purl"] for part in sbom.debian_packages(STATUS, DEBIAN)}
    assert listed == {
        "libc6": "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64&distro=debian-13",
        "login": "pkg:deb/debian/login@1:4.16.0-2%2Breally2.41-5?arch=amd64&distro=debian-13",
    }


def test_the_interpreter_and_every_distribution_are_listed() -> None:
    listed = {part["purl"] for part in sbom.python_packages()}
    assert f"pkg:generic/python@{platform.python_version()}" in listed
    assert f"pkg:pypi/pytest@{metadata.version('pytest')}" in listed


def test_a_local_version_and_a_name_are_written_as_package_urls_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "Some_Thing-1.0+cpu.dist-info"
    info.mkdir()
    license_line = "License-Expression: Apache-2.0\n"
    text = f"Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.0+cpu\n{license_line}"
    (info / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    _, part = sbom.python_packages()
    assert part["purl"] == "pkg:pypi/some-thing@1.0%2Bcpu"
    assert part["licenses"] == [{"expression": "Apache-2.0"}]


def test_the_script_tells_of_itself_what_was_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-", "images", "0a1b-serve"],
        input=Path(sbom.__file__).read_text(),
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["version"] == "0a1b-serve"
    references = [part["bom-ref"] for part in document["components"]]
    assert references == sorted(set(references))


def test_a_system_without_dpkg_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sbom, "DPKG_STATUS", tmp_path / "status")
    listed = sbom.bill("images", "v1")["components"]
    assert not [part for part in listed if part["purl"].startswith("pkg:deb/")]
    assert "the system's packages are not listed" in capsys.readouterr().err

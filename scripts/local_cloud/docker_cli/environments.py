"""Cached Python environments, one for each set of locked requirements on top of another.

An environment is named by a hash of the interpreter, its parent and the requirement files, so two
builds with the same locks share it. `FROM train AS test` gives `test` the environment of `train`
as its parent: a child holds only what it adds, and finds the rest by a `.pth` file.

`python -m local_cloud.docker_cli.environments` makes or uses them by hand, see `prime`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

CACHE_VARIABLE = "LOCAL_CLOUD_ENVIRONMENTS"
REPOSITORY = Path(__file__).resolve().parents[3]
STAMP = "complete"


class InstallError(Exception):
    """pip could not install the requirements; its own words stand above."""


def cache_folder() -> Path:
    """Return the folder of all environments: $LOCAL_CLOUD_ENVIRONMENTS, or in build/cache."""
    default = REPOSITORY / "build" / "cache" / "environments"
    return Path(os.environ.get(CACHE_VARIABLE) or default).resolve()


def base() -> Path:
    """Return the environment of an image that installed nothing yet, made if it is missing."""
    return _ensure(_key("", [], []), None, [], [])


def extend(parent: Path, requirements: list[Path], options: list[str]) -> Path:
    """Return the environment that adds locked requirement files to `parent`, made if missing.

    `options` are pip's own that choose where packages come from. Raises InstallError.
    """
    contents = [path.read_bytes() for path in requirements]
    return _ensure(_key(parent.name, contents, options), parent, requirements, options)


def is_complete(environment: Path) -> bool:
    """Say whether every package has what it requires, in `pip check`'s judgement."""
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "check"]
    return subprocess.run(pip, env=_pip_environment(), capture_output=True).returncode == 0


def site_packages(environment: Path) -> Path:
    """Return an environment's folder of packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def _key(parent: str, contents: list[bytes], options: list[str]) -> str:
    interpreter = [sys.version, platform.machine(), platform.system(), sys.base_prefix]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    facts = json.dumps([interpreter, parent, digests, options])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _ensure(key: str, parent: Path | None, requirements: list[Path], options: list[str]) -> Path:
    folder = cache_folder() / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / STAMP).exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
            if parent is not None:
                _inherit(folder, parent)
                _install(folder, requirements, options)
            (folder / STAMP).touch()
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _inherit(folder: Path, parent: Path) -> None:
    """Let the packages and the programs of the parent be found in the child."""
    line = f"import site; site.addsitedir({str(site_packages(parent))!r})\n"
    (site_packages(folder) / "parent.pth").write_text(line)
    for program in (parent / "bin").iterdir():
        mine = folder / "bin" / program.name
        if not mine.exists() and not program.name.lower().startswith(("activate", "python")):
            mine.symlink_to(program)


def _install(folder: Path, requirements: list[Path], options: list[str]) -> None:
    """Install with the pip of this program; only the lock's packages, and only by their hashes."""
    started = time.monotonic()
    names = ", ".join(path.name for path in requirements)
    print(f"{folder.name}: installing {names} …", file=sys.stderr, flush=True)
    python = str(folder / "bin" / "python")
    files = [argument for path in requirements for argument in ("-r", str(path))]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", *quiet]
    page = folder / "wheels.html"
    wheels = ["--find-links", str(page)] if wheel_page(page) else []
    command = [*pip, "--require-hashes", *options, *wheels, *files]
    done = subprocess.run(command, env=_pip_environment())
    if done.returncode:
        raise InstallError(f"pip install of {names} failed with exit status {done.returncode}")
    took = time.monotonic() - started
    print(f"{folder.name}: ready after {took:.0f} s", file=sys.stderr, flush=True)


def wheel_page(page: Path) -> bool:
    """List the wheels of the user's own find-links folders with their hashes; False if none.

    Where hashes are required pip prefers a link that carries an allowed hash. A file in a folder
    carries none, so without this page a wheel that the user keeps there would never be taken.
    """
    links = [
        f'<a href="{wheel.as_uri()}#sha256={_sha256(wheel)}">{wheel.name}</a>'
        for folder in _find_links_folders()
        for wheel in sorted(folder.glob("*.whl"))
    ]
    page.write_text("<!doctype html>\n" + "\n".join(links))
    return bool(links)


def _find_links_folders() -> Iterator[Path]:
    asked = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    answer = subprocess.run(asked, env=_pip_environment(), capture_output=True, text=True)
    configured = [*answer.stdout.split(), *os.environ.get("PIP_FIND_LINKS", "").split()]
    for name in dict.fromkeys(configured):
        path = Path(name.removeprefix("file://"))
        if path.is_dir():
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pip_environment() -> dict[str, str]:
    """Let pip see the user's own pip configuration, although HOME is not the user's here."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
        or name.startswith("PIP_")
        or name.lower().endswith("_proxy")
    }
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    own = [home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    existing = [path for path in own if path.is_file()]
    if existing:
        environment.setdefault("PIP_CONFIG_FILE", str(existing[0]))
    environment.setdefault("PIP_CACHE_DIR", str(cache_folder().parent / "pip"))
    return environment


if __name__ == "__main__":
    from local_cloud.docker_cli.prime import main

    sys.exit(main(sys.argv[1:]))

"""`docker run`: a program of an image, as a process in a copy of the image's files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from local_cloud import unpacked as layout
from local_cloud.docker_cli.store import Image, Store


@dataclass(frozen=True)
class RunOptions:
    """What `docker run` was asked for beside image and command."""

    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    entrypoint: str | None = None
    network: str = "bridge"
    interactive: bool = False


def run(store: Store, image: Image, args: list[str], options: RunOptions) -> int:
    """Run to the end and return the exit status; 127 or 126 if the program cannot be run."""
    if options.network == "none":
        print("docker: --network none is not enforced offline", file=sys.stderr, flush=True)
    unpacked = layout.read_unpacked(store.folder(image.id))
    with tempfile.TemporaryDirectory(prefix="docker-run-") as container:
        root = Path(container) / "root"
        shutil.copytree(unpacked.root, root, symlinks=True)
        home = Path(container) / "home"
        home.mkdir()
        mine = replace(
            unpacked,
            root=root,
            env=unpacked.env | options.env,
            workdir=options.workdir or unpacked.workdir,
            entrypoint=[options.entrypoint] if options.entrypoint else unpacked.entrypoint,
            cmd=[] if options.entrypoint else unpacked.cmd,
        )
        try:
            argv, environment, cwd = layout.command(mine, args)
        except layout.ImageError as error:
            print(f"docker: Error response from daemon: {error}", flush=True)
            return 126 if "permission denied" in str(error) else 127
        inherited = {k: v for k, v in os.environ.items() if k in {"TMPDIR", "LANG"}}
        own = {"HOME": str(home), "HOSTNAME": "localhost"}
        stdin = None if options.interactive else subprocess.DEVNULL
        environment = inherited | own | environment
        status = subprocess.run(argv, env=environment, cwd=cwd, stdin=stdin).returncode
        return status if status >= 0 else 128 - status  # ended by a signal

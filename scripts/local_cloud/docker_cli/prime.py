"""Makes the environments of a Dockerfile's targets beforehand, or runs a command in one.

    environments model-code/Dockerfile train serve test [--build-arg NAME=VALUE]
    environments run model-code/Dockerfile test [--build-arg NAME=VALUE] -- pytest model-code/tests

Both build the targets as `docker build` does, so that a build finds what was made here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from local_cloud import unpacked as layout
from local_cloud.docker_cli.build import Builder, BuildError
from local_cloud.docker_cli.store import Store


def main(arguments: list[str]) -> int:
    """Read the command line; returns an exit status, or ends as the command that is to run."""
    own, command = arguments, []
    if "--" in arguments:
        cut = arguments.index("--")
        own, command = arguments[:cut], arguments[cut + 1 :]
    runs = own[:1] == ["run"]
    parser = argparse.ArgumentParser(prog="environments", description=__doc__)
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("targets", nargs="+", metavar="target")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(own[1:] if runs else own)
    given = dict(pair.partition("=")[::2] for pair in options.build_arg)
    try:
        made = [environment_of(options.dockerfile, target, given) for target in options.targets]
    except BuildError as error:
        print(f"{options.dockerfile}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on with what is not finished", file=sys.stderr)
        return 128 + signal.SIGINT
    if not runs:
        return 0
    if not command or len(made) != 1:
        parser.error("run needs one target, and a command after --")
    become(made[0], command)


def environment_of(dockerfile: Path, target: str, build_arguments: dict[str, str]) -> Path:
    """Build a target and return its environment; BuildError, after the build's log, if it fails."""
    log = io.StringIO()  # of interest only if the build fails
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch))
        builder = Builder(store, dockerfile.parent, build_arguments)
        try:
            with contextlib.redirect_stdout(log):
                image = builder.build(dockerfile, target, ())
        except BuildError:
            print(log.getvalue(), file=sys.stderr)
            raise
        return layout.read_unpacked(store.folder(image.id)).environment


def become(environment: Path, command: list[str]) -> NoReturn:
    """End as a command with the environment's programs first on PATH; Ctrl-C is its alone."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables["PATH"] = os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", "")])
    variables["VIRTUAL_ENV"] = str(environment)
    sys.stdout.flush()
    os.execvpe(command[0], command, variables)

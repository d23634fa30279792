"""Docker's command line, as far as a buildspec needs it; see the package."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from local_cloud.docker_cli import registry
from local_cloud.docker_cli.build import Builder, BuildError
from local_cloud.docker_cli.layers import digest_of
from local_cloud.docker_cli.registry import RegistryError
from local_cloud.docker_cli.run import RunOptions, run
from local_cloud.docker_cli.store import BadReference, Image, NoSuchImage, Store, normalized
from local_cloud.unpacked import ImageError

ROOT_VARIABLE = "LOCAL_CLOUD_DOCKER_ROOT"
VERSION = "offline-1"
NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
FORMATS: dict[str, Callable[[dict], str]] = {
    "{{.Id}}": lambda facts: facts["Id"],
    "{{json .}}": json.dumps,
    "{{index .RepoTags 0}}": lambda facts: facts["RepoTags"][0],
    "{{.Config.Entrypoint}}": lambda facts: str(facts["Config"].get("Entrypoint")),
    "{{.Size}}": lambda facts: str(facts["Size"]),
}


class Parser(argparse.ArgumentParser):
    """Says that an option is not known offline, and ends with docker's exit status for it."""

    def error(self, message: str) -> NoReturn:
        """Print and leave."""
        print(f"{self.prog}: {message} (the offline docker knows only part of it)", file=sys.stderr)
        sys.exit(125)


def main(arguments: list[str] | None = None) -> int:
    """Run one docker command and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in order with errors, and with programs run
    options = _parser().parse_args(arguments)
    if not os.environ.get(ROOT_VARIABLE):  # a build without privileged mode
        print(NO_DAEMON, file=sys.stderr)
        return 1
    store = Store(Path(os.environ[ROOT_VARIABLE]))
    try:
        status: int = options.perform(options, store)
    except (BuildError, ImageError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except (RegistryError, NoSuchImage, BadReference) as error:
        print(error, file=sys.stderr)
        return 1
    return status


def _parser() -> Parser:
    parser = Parser(prog="docker")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_build(commands.add_parser("build"))
    _add_run(commands.add_parser("run"))
    _add_registry_commands(commands)
    tag = commands.add_parser("tag")
    tag.add_argument("source")
    tag.add_argument("target")
    tag.set_defaults(perform=_tag)
    remove = commands.add_parser("rmi")
    remove.add_argument("images", nargs="+")
    remove.set_defaults(perform=_rmi)
    _add_inspect(commands.add_parser("inspect"))
    _add_inspect(commands.add_parser("image").add_subparsers(required=True).add_parser("inspect"))
    for name in ("version", "info"):
        command = commands.add_parser(name)
        command.set_defaults(perform=_version)
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("context", type=Path)
    parser.add_argument("-f", "--file", type=Path)
    parser.add_argument("-t", "--tag", action="append", default=[])
    parser.add_argument("--target")
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("-q", "--quiet", action="store_true")
    for attestation in ("--provenance", "--sbom"):
        parser.add_argument(attestation, choices=["false"])
    for harmless in ("--no-cache", "--pull", "--progress"):
        kind = {"metavar": "VALUE"} if harmless == "--progress" else {"action": "store_true"}
        parser.add_argument(harmless, **kind)  # type: ignore[arg-type]
    parser.set_defaults(perform=_build)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rm", action="store_true")
    parser.add_argument("-i", "--interactive", action="store_true")
    parser.add_argument("--network", default="bridge", choices=["none", "bridge", "host"])
    parser.add_argument("-e", "--env", action="append", default=[])
    parser.add_argument("-w", "--workdir")
    parser.add_argument("--entrypoint")
    parser.add_argument("image")
    parser.add_argument("args", nargs=argparse.REMAINDER)
    parser.set_defaults(perform=_run)


def _add_registry_commands(commands: argparse._SubParsersAction) -> None:
    login = commands.add_parser("login")
    login.add_argument("-u", "--username", required=True)
    login.add_argument("--password-stdin", action="store_true", required=True)
    login.add_argument("registry")
    login.set_defaults(perform=_login)
    push = commands.add_parser("push")
    push.add_argument("-q", "--quiet", action="store_true")
    push.add_argument("image")
    push.set_defaults(perform=_push)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", choices=list(FORMATS))
    parser.add_argument("images", nargs="+")
    parser.set_defaults(perform=_inspect)


def _build(options: argparse.Namespace, store: Store) -> int:
    names = [normalized(name) for name in options.tag]
    path = options.file or options.context / "Dockerfile"
    if not path.is_file():
        raise BuildError(f"failed to read dockerfile: open {path}: no such file or directory")
    given = {name: value for name, value in map(_variable, options.build_arg) if value is not None}
    image = Builder(store, options.context.resolve(), given).build(path, options.target, names)
    print(image.id if options.quiet else f"writing image {image.id}")
    for name in () if options.quiet else names:
        print(f"naming to {name}")
    return 0


def _run(options: argparse.Namespace, store: Store) -> int:
    env = {name: value or "" for name, value in map(_variable, options.env)}
    chosen = RunOptions(
        env, options.workdir, options.entrypoint, options.network, options.interactive
    )
    return run(store, store.find(options.image), options.args, chosen)


def _login(options: argparse.Namespace, _store: Store) -> int:
    registry.login(options.registry, options.username, sys.stdin.read().strip())
    print("Login Succeeded")
    return 0


def _push(options: argparse.Namespace, store: Store) -> int:
    name = normalized(options.image)
    registry.push(store, store.find(name), name)
    return 0


def _tag(options: argparse.Namespace, store: Store) -> int:
    store.tag(options.target, store.find(options.source).id)
    return 0


def _rmi(options: argparse.Namespace, store: Store) -> int:
    for name in options.images:
        store.untag(name)
        print(f"Untagged: {normalized(name)}")
    return 0


def _inspect(options: argparse.Namespace, store: Store) -> int:
    facts = [_facts(store, store.find(name)) for name in options.images]
    if options.format:
        for fact in facts:
            print(FORMATS[options.format](fact))
    else:
        print(json.dumps(facts, indent=4))
    return 0


def _version(options: argparse.Namespace, _store: Store) -> int:
    print(f"Docker front end of the local cloud, version {VERSION}: builds and runs no containers")
    return 0


def _facts(store: Store, image: Image) -> dict:
    config = json.loads(image.config)
    manifest = json.loads(image.manifest)
    return {
        "Id": image.id,
        "RepoTags": [name for name, image_id in store.names().items() if image_id == image.id],
        "Created": config["created"],
        "Architecture": config["architecture"],
        "Os": config["os"],
        "Config": config["config"],
        "Size": sum(layer["size"] for layer in manifest["layers"]),
        "RootFS": {"Type": "layers", "Layers": config["rootfs"]["diff_ids"]},
        "Descriptor": {"digest": digest_of(image.manifest)},
    }


def _variable(word: str) -> tuple[str, str | None]:
    """Read NAME=VALUE; NAME alone takes its value from this process."""
    name, has_value, value = word.partition("=")
    return name, value if has_value else os.environ.get(name)


if __name__ == "__main__":
    sys.exit(main())

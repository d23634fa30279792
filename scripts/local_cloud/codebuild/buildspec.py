"""Reads a buildspec (version 0.2) and decides which phase follows which; nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured

PHASES = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
SHELLS = ("sh", "/bin/sh", "bash")
PHASE = members("commands", "finally", "on-failure")
HONOURED = members(
    "version",
    env=members("shell", "variables", "exported-variables"),
    phases={
        "install": PHASE | members("runtime-versions"),
        "pre_build": PHASE,
        "build": PHASE,
        "post_build": PHASE,
    },
    artifacts=members("files", "name", "base-directory", "discard-paths", "exclude-paths"),
    cache=members("paths"),
)


class BuildspecError(Exception):
    """The buildspec cannot be followed; CodeBuild calls it YAML_FILE_ERROR."""


@dataclass(frozen=True)
class Phase:
    """The commands of a phase; `last` are those of `finally`, which run in any case."""

    commands: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    aborts: bool = False  # on-failure: ABORT


@dataclass(frozen=True)
class Artifacts:
    """Which files the build hands on."""

    files: tuple[str, ...]
    base_directory: str = "."
    discard_paths: bool = False
    exclude_paths: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Buildspec:
    """A buildspec that was understood as a whole."""

    phases: dict[str, Phase]
    artifacts: Artifacts | None
    variables: dict[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()
    shell: str = "sh"
    notes: tuple[str, ...] = ()  # what is accepted but has no effect offline


def parse(text: str) -> Buildspec:
    """Read a buildspec; raises BuildspecError that names what is wrong or not emulated."""
    document = _load(text)
    try:
        refuse_unhonoured("the buildspec", HONOURED, document)
    except ApiError as error:
        raise BuildspecError(error.message) from error
    env = document.get("env") or {}
    shell = env.get("shell", "sh")
    if shell not in SHELLS:
        raise BuildspecError(f"env.shell is {shell!r}, one of {', '.join(SHELLS)} is needed")
    phases = document.get("phases") or {}
    if not phases:
        raise BuildspecError("phases is missing: at least one is needed")
    artifacts = document.get("artifacts")
    return Buildspec(
        phases={name.upper(): _phase(name, phase or {}) for name, phase in phases.items()},
        artifacts=_artifacts(artifacts) if artifacts else None,
        variables={name: _scalar(value) for name, value in (env.get("variables") or {}).items()},
        exported=tuple(env.get("exported-variables") or ()),
        shell="bash" if shell == "bash" else "sh",
        notes=tuple(_notes(document)),
    )


def next_phase(spec: Buildspec, phase: str, succeeded: bool) -> str:
    """Return the phase after one of the four, by AWS's "build phase transitions".

    A failed install or pre_build ends the build. post_build runs even if build failed, unless
    that says `on-failure: ABORT`; artifacts are uploaded after post_build in any case.
    """
    aborted = phase in ("INSTALL", "PRE_BUILD") or spec.phases.get(phase, Phase()).aborts
    if not succeeded and aborted:
        return "FINALIZING"
    return (*PHASES, "UPLOAD_ARTIFACTS")[PHASES.index(phase) + 1]


def _load(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(f"the buildspec is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise BuildspecError("the buildspec is not a mapping")
    if str(document.get("version")) != "0.2":
        raise BuildspecError(f"version is {document.get('version')!r}, 0.2 is needed")
    return document


def _phase(name: str, phase: dict[str, Any]) -> Phase:
    on_failure = phase.get("on-failure", "ABORT")
    if on_failure != "ABORT":
        raise BuildspecError(f"phases.{name}.on-failure: {on_failure} is not emulated, only ABORT")
    return Phase(
        commands=_commands(phase.get("commands"), f"phases.{name}.commands"),
        last=_commands(phase.get("finally"), f"phases.{name}.finally"),
        aborts="on-failure" in phase,
    )


def _commands(listed: Any, where: str) -> tuple[str, ...]:
    commands = [listed] if isinstance(listed, str) else listed or []
    for index, command in enumerate(commands):
        if not isinstance(command, str):
            raise BuildspecError(
                f"Expected {where}[{index}] to be of string type: found "
                f"{type(command).__name__} ({command!r}); quote it"
            )
    return tuple(commands)


def _artifacts(artifacts: dict[str, Any]) -> Artifacts:
    files = artifacts.get("files")
    if not files:
        raise BuildspecError("artifacts.files is missing: name at least one file")
    return Artifacts(
        files=tuple([files] if isinstance(files, str) else files),
        base_directory=artifacts.get("base-directory", "."),
        discard_paths=str(artifacts.get("discard-paths", "no")).lower() in ("yes", "true"),
        exclude_paths=tuple(artifacts.get("exclude-paths") or ()),
        name=artifacts.get("name"),
    )


def _notes(document: dict[str, Any]) -> list[str]:
    notes = []
    install = (document.get("phases") or {}).get("install") or {}
    if runtimes := install.get("runtime-versions"):
        chosen = ", ".join(f"{name} {version}" for name, version in runtimes.items())
        notes.append(f"runtime-versions ({chosen}) has no effect: this machine's are used")
    if "cache" in document:
        notes.append("cache has no effect: nothing is kept from one build to the next")
    return notes


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)

"""Reads a RUN line: which of its commands the local docker performs, and which it only prints."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from local_cloud.docker_cli.dockerfile import Instruction, exec_form

PIP = re.compile(r"(?:python3?\s+-m\s+)?pip3?\s+install\s.*--require-hashes\b.*", re.DOTALL)
CHECK = re.compile(r"(?:python3?\s+-m\s+)?pip3?\s+check")
CHMOD = re.compile(r"chmod\s+(?P<mode>[0-7]{3,4}|[augo]*[+-][rwx]+)\s+(?P<paths>[^-].*)", re.DOTALL)
PIECE = re.compile(
    r"""'[^']*'|"(?:\\.|[^"\\])*"|\$\{[^}]*\}|\\.|(?P<joint>&&|\|\||;)|.""", re.DOTALL
)
ORIGINS = ("--index-url", "--extra-index-url", "--find-links", "--only-binary", "--no-binary")
KEPT_FLAGS = ("--no-deps", "--no-compile")
IGNORED_FLAGS = (
    *("--no-cache-dir", "--require-hashes", "--quiet", "--no-input"),
    "--disable-pip-version-check",
)
WHO = {"u": 0o700, "g": 0o070, "o": 0o007}
WHAT = {"r": 0o444, "w": 0o222, "x": 0o111}


class RunError(Exception):
    """A RUN line that would have to be performed cannot be; says why."""


@dataclass(frozen=True)
class Pip:
    """pip install --require-hashes: the requirement files, and the options that matter."""

    requirements: list[str]
    options: list[str]


@dataclass(frozen=True)
class PipCheck:
    """pip check: fails if a package that another one needs is missing."""


@dataclass(frozen=True)
class Chmod:
    """chmod of named files; the change is as written, such as 755 or a+x."""

    change: str
    paths: list[str]

    def mode(self, old: int) -> int:
        """Return a file's new mode bits."""
        if self.change[0].isdigit():
            return int(self.change, 8)
        who, sign, what = re.split(r"([+-])", self.change)
        scope = 0
        for letter in "ugo" if who in ("", "a") else who:
            scope |= WHO.get(letter, 0o777)
        bits = 0
        for letter in what:
            bits |= WHAT[letter] & scope
        return old | bits if sign == "+" else old & ~bits


@dataclass(frozen=True)
class Skipped:
    """A command that is not performed; it counts as one that succeeded."""

    text: str


Action = Pip | PipCheck | Chmod | Skipped


@dataclass(frozen=True)
class Step:
    """One command of a line and what stands before it: && || ; or nothing."""

    joint: str
    action: Action

    def follows(self, succeeded: bool) -> bool:
        """Say whether a shell would run it after a command that ended so."""
        return {"&&": succeeded, "||": not succeeded}.get(self.joint, True)


def steps(instruction: Instruction, variables: Mapping[str, str]) -> Iterator[Step]:
    """Split a RUN line into its commands, each performed or skipped as a whole."""
    listed = exec_form(instruction)
    parts = [("", " ".join(listed))] if listed else split(instruction.value)
    for joint, command in parts:
        if command:
            yield Step(joint, _action(instruction, command, variables))


def split(line: str) -> list[tuple[str, str]]:
    """Split a shell line at && || and ; outside quotes: [(joint before it, command), …]."""
    parts = [("", "")]
    for piece in PIECE.finditer(line):
        if piece["joint"]:
            parts.append((piece["joint"], ""))
        else:
            parts[-1] = (parts[-1][0], parts[-1][1] + piece[0])
    return [(joint, command.strip()) for joint, command in parts]


def _action(instruction: Instruction, command: str, variables: Mapping[str, str]) -> Action:
    if re.search(r"[`|<>&(]", command):
        return Skipped(command)
    if PIP.fullmatch(command):
        return _pip(instruction, _expanded(command, variables))
    if CHECK.fullmatch(command):
        return PipCheck()
    if match := CHMOD.fullmatch(command):
        return Chmod(match["mode"], _expanded(match["paths"], variables))
    return Skipped(command)


def _expanded(command: str, variables: Mapping[str, str]) -> list[str]:
    """Let a shell expand variables and quotes, as it would on RUN; nothing is executed."""
    script = f"set -f; words() {{ printf '%s\\0' \"$@\"; }}; words {command}"
    environment = {**variables, "PATH": "/usr/bin:/bin", "BASH_ENV": "", "ENV": ""}
    shell = ["bash", "--posix", "-c", script]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"RUN {command}: {done.stderr.strip()}")
    return done.stdout.split("\0")[:-1]


def _pip(instruction: Instruction, words: list[str]) -> Pip:
    parser = argparse.ArgumentParser(prog="pip install", add_help=False, exit_on_error=False)
    parser.add_argument("-r", "--requirement", action="append", default=[])
    for origin in ORIGINS:
        parser.add_argument(origin, action="append", default=[])
    for flag in (*KEPT_FLAGS, *IGNORED_FLAGS):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--root-user-action")
    arguments = words[words.index("install") + 1 :]
    try:
        options, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise instruction.fail(str(error)) from error
    if unknown or not options.requirement:
        what = f"{unknown[0]} is not supported" if unknown else "-r FILE is missing"
        raise instruction.fail(f"pip install by the local docker: {what}")
    given = vars(options)
    listed = [word for o in ORIGINS for value in given[_name(o)] for word in (o, value)]
    return Pip(options.requirement, [*(f for f in KEPT_FLAGS if given[_name(f)]), *listed])


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")

"""Reads a RUN line: which of its commands the local docker performs, and which it only prints."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from local_cloud.docker_cli.dockerfile import Instruction, exec_form

PIP = re.compile(r"(?:python3?\s+-m\s+)?pip3?\s+install\s.*--require-hashes\b.*", re.DOTALL)
CHMOD = re.compile(r"chmod\s+(?P<mode>[0-7]{3,4}|[augo]*[+-][rwx]+)\s+(?P<paths>[^-].*)", re.DOTALL)
SEPARATOR = re.compile(r"\s*(?:&&|;)\s*")
CHECKED_PIP = re.compile(r"pip3?\s+check\s*\|\|\s*(?P<install>pip3?\s+install\s[^|]*)", re.DOTALL)
ORIGINS = ("--index-url", "--extra-index-url", "--find-links", "--only-binary", "--no-binary")
WHO = {"u": 0o700, "g": 0o070, "o": 0o007}
WHAT = {"r": 0o444, "w": 0o222, "x": 0o111}


class RunError(Exception):
    """A RUN line that would have to be performed cannot be; says why."""


@dataclass(frozen=True)
class Pip:
    """pip install --require-hashes: the requirement files, and the options on where from."""

    requirements: list[str]
    options: list[str]
    only_if_incomplete: bool = False  # written `pip check || pip install …`


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
    """A command that is not performed."""

    text: str


Action = Pip | Chmod | Skipped


def actions(instruction: Instruction, variables: Mapping[str, str]) -> Iterator[Action]:
    """Split a RUN line at && and ; into what is performed and what is skipped."""
    listed = exec_form(instruction)
    commands = [" ".join(listed)] if listed else SEPARATOR.split(instruction.value)
    for command in filter(None, commands):
        understood = not re.search(r"[`|<>&]|\$\(", command)
        if (checked := CHECKED_PIP.fullmatch(command)) and PIP.fullmatch(checked["install"]):
            yield replace(
                _pip(instruction, _expanded(checked["install"], variables)), only_if_incomplete=True
            )
        elif understood and PIP.fullmatch(command):
            yield _pip(instruction, _expanded(command, variables))
        elif understood and (match := CHMOD.fullmatch(command)):
            yield Chmod(match["mode"], _expanded(match["paths"], variables))
        else:
            yield Skipped(command)


def _expanded(command: str, variables: Mapping[str, str]) -> list[str]:
    """Let a shell expand variables and quotes, as it would on RUN; nothing is executed."""
    script = f"set -f; words() {{ printf '%s\\0' \"$@\"; }}; words {command}"
    environment = {"PATH": "/usr/bin:/bin", **variables, "BASH_ENV": "", "ENV": ""}
    shell = ["bash", "--posix", "-c", script]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"RUN {command}: {done.stderr.strip()}")
    return done.stdout.split("\0")[:-1]


def _pip(instruction: Instruction, words: list[str]) -> Pip:
    parser = argparse.ArgumentParser(prog="pip install", add_help=False, exit_on_error=False)
    parser.add_argument("-r", "--requirement", action="append", default=[])
    for kept in (
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--only-binary",
        "--no-binary",
    ):
        parser.add_argument(kept, action="append", default=[])
    for ignored in ("--no-cache-dir", "--require-hashes", "--no-compile", "--quiet", "--no-input"):
        parser.add_argument(ignored, action="store_true")
    parser.add_argument("--no-deps", action="store_true")
    parser.add_argument("--disable-pip-version-check", action="store_true")
    parser.add_argument("--root-user-action")
    arguments = words[words.index("install") + 1 :]
    try:
        options, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise instruction.fail(str(error)) from error
    if unknown or not options.requirement:
        what = f"{unknown[0]} is not supported" if unknown else "-r FILE is missing"
        raise instruction.fail(f"pip install by the local docker: {what}")
    chosen = {name: getattr(options, name[2:].replace("-", "_")) for name in ORIGINS}
    listed = [word for name, values in chosen.items() for v in values for word in (name, v)]
    return Pip(options.requirement, listed + ["--no-deps"] * options.no_deps)

"""Reads a Dockerfile: lines → instructions → stages, and the substitution of variables.

The rules are those of Docker's reference; what is not understood is refused with its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

KNOWN = {
    *("FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "EXPOSE", "USER"),
    *("CMD", "ENTRYPOINT", "STOPSIGNAL"),
}
DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*")
FLAG = re.compile(r"--([a-z]+)(?:=(\S*))?\s+")
VARIABLE = re.compile(
    r"\\(?P<escaped>.)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::(?P<mode>[-+])(?P<word>[^}]*))?\})"
)
TOKEN = re.compile(
    r"(?P<space>\s+)|'(?P<single>[^']*)'|\"(?P<double>(?:\\.|[^\"\\])*)\""
    r"|(?P<plain>(?:\$\{[^}]*\}|\\.|[^\s'\"\\])+)"
)


class DockerfileError(Exception):
    """The Dockerfile cannot be read or followed; says where and why."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: `COPY --from=x a b` is keyword COPY, flags {from: x}, value 'a b'."""

    line: int
    keyword: str
    flags: dict[str, str]
    value: str

    def fail(self, why: str) -> DockerfileError:
        """Make an error that names the instruction."""
        return DockerfileError(f"Dockerfile:{self.line}: {self.keyword} {self.value}: {why}")


@dataclass(frozen=True)
class Stage:
    """One FROM with what follows it; `base` as written, variables in place."""

    name: str
    origin: Instruction
    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Dockerfile:
    """The stages, and the ARGs above the first FROM."""

    arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile; raises DockerfileError for what Docker would refuse, or we would."""
    arguments: list[Instruction] = []
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in _instructions(text):
        if instruction.keyword == "FROM":
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.keyword == "ARG":
            arguments.append(instruction)
        else:
            raise instruction.fail("no build stage in current context")
    if not stages:
        raise DockerfileError("file with no instructions")
    return Dockerfile(tuple(arguments), tuple(_stage(i, *s) for i, s in enumerate(stages)))


def substitute(text: str, variables: Mapping[str, str], escapes: str = "$") -> str:
    """Put variables in place of $x, ${x}, ${x:-word} and ${x:+word}; unset ones are empty.

    A backslash is dropped before the characters in `escapes`, before any if that is empty.
    """

    def value(match: re.Match[str]) -> str:
        if match["escaped"] is not None:
            return (
                match["escaped"] if match["escaped"] in (escapes or match["escaped"]) else match[0]
            )
        known = variables.get(match["plain"] or match["name"], "")
        if match["mode"] == "-":
            return known or substitute(match["word"], variables)
        if match["mode"] == "+":
            return substitute(match["word"], variables) if known else ""
        return known

    return VARIABLE.sub(value, text)


def words(instruction: Instruction, variables: Mapping[str, str]) -> list[str]:
    """Split a value into words as Docker does, by quotes and escapes; or read it as JSON.

    A variable's value is never split, and none is put into single quotes.
    """
    listed = exec_form(instruction)
    if listed is not None:
        return [substitute(word, variables) for word in listed]
    found: list[str] = []
    position, open_word = 0, False
    while position < len(instruction.value):
        token = TOKEN.match(instruction.value, position)
        if token is None:
            raise instruction.fail("unexpected end of statement while looking for matching quote")
        position = token.end()
        if token["space"] is not None:
            open_word = False
            continue
        found.extend([] if open_word else [""])
        found[-1] += _unquoted(token, variables)
        open_word = True
    return found


def _unquoted(token: re.Match[str], variables: Mapping[str, str]) -> str:
    if token["single"] is not None:
        return token["single"]
    if token["double"] is not None:
        return substitute(token["double"], variables, escapes='"\\$')
    return substitute(token["plain"], variables, escapes="")


def pairs(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Read `k=v k2="v 2"` of ENV and LABEL, or ENV's old form `k v with spaces`."""
    first = instruction.value.split(None, 1)
    if len(first) == 2 and "=" not in first[0]:
        return {first[0]: substitute(first[1], variables)}
    found = words(instruction, variables)
    if any("=" not in word for word in found):
        raise instruction.fail("can't find = in one of the words; must be of the form: name=value")
    return {name: value for name, _, value in (word.partition("=") for word in found)}


def exec_form(instruction: Instruction) -> list[str] | None:
    """Return the list of an instruction in exec (JSON) form, None for the shell form."""
    if not instruction.value.startswith("["):
        return None
    try:
        listed = json.loads(instruction.value)
    except ValueError:
        return None
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        return None
    return listed


def command(instruction: Instruction) -> list[str]:
    """Return what CMD or ENTRYPOINT runs; the shell form goes through /bin/sh."""
    listed = exec_form(instruction)
    return ["/bin/sh", "-c", instruction.value] if listed is None else listed


def needed_stages(dockerfile: Dockerfile, target: str | None, bases: Mapping[int, str]) -> set[int]:
    """Return the stages that a target is made from, by number, the target among them.

    `bases` gives each stage's base with its variables in place. Raises DockerfileError for an
    unknown target.
    """
    wanted = stage_number(dockerfile, target) if target else len(dockerfile.stages) - 1
    if wanted is None:
        names = ", ".join(stage.name for stage in dockerfile.stages)
        raise DockerfileError(f"target stage {target!r} could not be found, one of {names}")
    needed: set[int] = set()
    open_numbers = [wanted]
    while open_numbers:
        number = open_numbers.pop()
        needed.add(number)
        stage = dockerfile.stages[number]
        sources = [bases[number], *(i.flags.get("from", "") for i in stage.instructions)]
        for source in filter(None, sources):
            found = stage_number(dockerfile, source, before=number)
            if found is not None and found not in needed:
                open_numbers.append(found)
    return needed


def stage_number(dockerfile: Dockerfile, name: str, before: int | None = None) -> int | None:
    """Find a stage by name or number among those before a stage; None if there is none."""
    for number, stage in enumerate(dockerfile.stages[:before]):
        if name.lower() == stage.name.lower() or name == str(number):
            return number
    return None


def _stage(number: int, origin: Instruction, instructions: Iterable[Instruction]) -> Stage:
    parts = origin.value.split()
    if len(parts) == 1:
        return Stage(str(number), origin, parts[0], tuple(instructions))
    if len(parts) == 3 and parts[1].upper() == "AS":
        return Stage(parts[2], origin, parts[0], tuple(instructions))
    raise origin.fail("FROM requires either one or three arguments")


def _instructions(text: str) -> Iterable[Instruction]:
    """Join continued lines, drop comments, and split keyword, flags and value."""
    logical, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            _refuse_directive(stripped, number)
            continue
        start = start if logical else number
        if stripped.endswith("\\"):
            logical += stripped[:-1].rstrip() + " "
            continue
        yield _instruction(start, logical + stripped)
        logical = ""
    if logical:
        yield _instruction(start, logical.strip())


def _instruction(line: int, text: str) -> Instruction:
    keyword, _, value = text.partition(" ")
    keyword, value = keyword.upper(), value.strip()
    if keyword not in KNOWN:
        raise DockerfileError(
            f"Dockerfile:{line}: {keyword} is not supported by the local docker, "
            f"one of {', '.join(sorted(KNOWN))}"
        )
    if not value:
        raise DockerfileError(f"Dockerfile:{line}: {keyword} requires at least one argument")
    if re.search(r"<<-?['\"]?\w+", value) and keyword in {"RUN", "COPY"}:
        raise DockerfileError(f"Dockerfile:{line}: here-documents are not supported here")
    flags = {}
    while match := FLAG.match(value):
        flags[match[1]] = match[2] or ""
        value = value[match.end() :]
    return Instruction(line, keyword, flags, value)


def _refuse_directive(comment: str, line: int) -> None:
    directive = DIRECTIVE.fullmatch(comment)
    if directive and directive[1].lower() == "escape" and directive[2] != "\\":
        raise DockerfileError(f"Dockerfile:{line}: only the escape character \\ is supported here")

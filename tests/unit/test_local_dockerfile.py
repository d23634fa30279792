"""The Dockerfile as Docker reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_cloud.docker_cli.dockerfile import (
    DockerfileError,
    Instruction,
    command,
    needed_stages,
    pairs,
    parse,
    substitute,
    words,
)

MANY = """\
# a comment
ARG BASE=python:3
FROM ${BASE} AS base
RUN one && \\
    # a comment inside
    two

FROM base AS train
COPY --from=tools --chmod=755 /x /y
from scratch as tools
FROM train
"""


def instruction(keyword: str, value: str) -> Instruction:
    return Instruction(1, keyword, {}, value)


def test_stages_keep_their_names_and_instructions() -> None:
    dockerfile = parse(MANY)
    assert [stage.name for stage in dockerfile.stages] == ["base", "train", "tools", "3"]
    assert dockerfile.stages[0].base == "${BASE}"
    assert dockerfile.stages[0].instructions[0].value == "one && two"
    assert dockerfile.stages[1].instructions[0].flags == {"from": "tools", "chmod": "755"}
    assert dockerfile.arguments[0].value == "BASE=python:3"


def test_a_target_needs_its_bases_and_what_it_copies_from() -> None:
    dockerfile = parse("FROM a AS x\nFROM b AS y\nFROM x AS z\nCOPY --from=y /p /p\nFROM y\n")
    bases = {number: stage.base for number, stage in enumerate(dockerfile.stages)}
    assert needed_stages(dockerfile, "z", bases) == {0, 1, 2}
    assert needed_stages(dockerfile, None, bases) == {1, 3}
    with pytest.raises(DockerfileError, match="nope"):
        needed_stages(dockerfile, "nope", bases)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}", "1-1"),
        ("${B:-two}", "two"),
        ("${A:-two}", "1"),
        ("${A:+yes}${B:+no}", "yes"),
        ("$B", ""),
        (r"\$A", "$A"),
        ("${B:-$A}", "1"),
    ],
)
def test_variables_are_substituted(text: str, expected: str) -> None:
    assert substitute(text, {"A": "1"}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ("'$A' \"$A\" $A", ["$A", "x y", "x y"]),
        (r"a\ b", ["a b"]),
        ('x="q" y', ["x=q", "y"]),
        ('["a b", "$A"]', ["a b", "x y"]),
        (r'"a \" b"', ['a " b']),
    ],
)
def test_words_follow_quotes_and_a_value_is_never_split(value: str, expected: list[str]) -> None:
    assert words(instruction("COPY", value), {"A": "x y"}) == expected


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(DockerfileError, match="quote"):
        words(instruction("COPY", '"a'), {})


def test_env_reads_both_of_its_forms() -> None:
    assert pairs(instruction("ENV", 'A=1 B="2 3"'), {}) == {"A": "1", "B": "2 3"}
    assert pairs(instruction("ENV", "A one two"), {}) == {"A": "one two"}
    assert pairs(instruction("ENV", "PATH=/opt:$PATH"), {"PATH": "/bin"}) == {"PATH": "/opt:/bin"}
    with pytest.raises(DockerfileError, match="name=value"):
        pairs(instruction("ENV", "A=1 B"), {})


def test_the_shell_form_goes_through_a_shell() -> None:
    assert command(instruction("CMD", '["train"]')) == ["train"]
    assert command(instruction("CMD", "train now")) == ["/bin/sh", "-c", "train now"]


@pytest.mark.parametrize(
    ("text", "words_of_error"),
    [
        ("", "no instructions"),
        ("RUN x\nFROM a\n", "no build stage"),
        ("FROM a b\n", "one or three"),
        ("FROM a\nADD x y\n", "ADD is not supported"),
        ("FROM a\nRUN <<EOF\nls\nEOF\n", "here-documents"),
        ("# escape=`\nFROM a\n", "escape"),
        ("FROM a\nENV\n", "at least one argument"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, words_of_error: str) -> None:
    with pytest.raises(DockerfileError, match=words_of_error):
        parse(text)


def test_our_own_dockerfile_is_understood() -> None:
    text = (Path(__file__).parents[2] / "model-code" / "Dockerfile").read_text()
    assert {"train", "serve", "test"} <= {stage.name for stage in parse(text).stages}

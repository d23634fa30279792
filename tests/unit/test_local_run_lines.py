"""Which parts of a RUN line the offline docker performs."""

from __future__ import annotations

import pytest
from local_cloud.docker_cli.dockerfile import DockerfileError, Instruction
from local_cloud.docker_cli.run_lines import Chmod, Pip, PipCheck, Skipped, Step, split, steps


def of(line: str, **variables: str) -> list[Step]:
    return list(steps(Instruction(1, "RUN", {}, line), variables))


def test_a_locked_install_is_performed_with_the_options_that_matter() -> None:
    line = (
        "pip install --no-cache-dir --no-deps --require-hashes "
        '${URL:+--extra-index-url "$URL"} -r a.txt'
    )
    assert of(line) == [Step("", Pip(["a.txt"], ["--no-deps"]))]
    with_url = of(line, URL="https://x y")
    expected = Pip(["a.txt"], ["--no-deps", "--extra-index-url", "https://x y"])
    assert with_url == [Step("", expected)]


@pytest.mark.parametrize(
    "line",
    [
        "pip install six",
        "apt-get update",
        "pip install --require-hashes -r a.txt > log",
        "pip install --require-hashes -r $(ls)",
        "(pip install --require-hashes -r a.txt)",
        "chmod -R 755 /opt",
    ],
)
def test_everything_else_is_skipped_as_a_whole(line: str) -> None:
    assert of(line) == [Step("", Skipped(line))]


def test_the_joints_between_commands_are_kept() -> None:
    line = "pip check || pip install --require-hashes -r a.txt && chmod +x 'my train'; ls"
    found = of(line)
    assert [step.joint for step in found] == ["", "||", "&&", ";"]
    assert isinstance(found[0].action, PipCheck)
    assert found[2].action == Chmod("+x", ["my train"])


def test_a_command_follows_as_a_shell_would_have_it() -> None:
    action = Skipped("x")
    assert Step("&&", action).follows(True)
    assert not Step("&&", action).follows(False)
    assert Step("||", action).follows(False)
    assert not Step("||", action).follows(True)
    assert Step(";", action).follows(False)


def test_joints_inside_quotes_do_not_split() -> None:
    assert split("""python -c "a; b && c" && d""") == [
        ("", 'python -c "a; b && c"'),
        ("&&", "d"),
    ]


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ("755", 0o644, 0o755),
        ("+x", 0o644, 0o755),
        ("u+x", 0o644, 0o744),
        ("go-rwx", 0o755, 0o700),
        ("a-w", 0o666, 0o444),
    ],
)
def test_chmod_changes_the_mode_as_written(change: str, old: int, new: int) -> None:
    assert Chmod(change, []).mode(old) == new


def test_an_option_that_would_change_the_install_is_refused() -> None:
    with pytest.raises(DockerfileError, match="--target"):
        of("pip install --require-hashes --target /x -r a.txt")
    with pytest.raises(DockerfileError, match="-r FILE"):
        of("pip install --require-hashes")

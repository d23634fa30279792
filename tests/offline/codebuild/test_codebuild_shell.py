"""Commands of one build share variables and folder, but no functions; and they can be ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from local_cloud.codebuild.shell import Interrupted, Shell


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def shell(tmp_path: Path, lines: list[str]) -> Shell:
    return make_shell(tmp_path, lines.append)


def make_shell(folder: Path, write: Callable[[str], None], posix: bool = True) -> Shell:
    source = folder / "src"
    source.mkdir()
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "GIVEN": 'it\'s $5 "or" more',
    }
    return Shell(folder, source, variables, write, posix)


def test_variables_and_folder_go_from_command_to_command(shell: Shell, lines: list[str]) -> None:
    assert shell.run("A=1; export B=2; mkdir -p sub && cd sub") == 0
    assert shell.run('echo "$A $B ${PWD##*/} $GIVEN"') == 0
    assert lines == ['1 2 sub it\'s $5 "or" more']


def test_functions_do_not(shell: Shell, lines: list[str]) -> None:
    shell.run("f() { echo called; }; f")
    assert shell.run("f") == 127
    assert lines[0] == "called"


def test_a_command_that_exits_leaves_the_shell_as_it_was(shell: Shell, lines: list[str]) -> None:
    shell.run("A=before")
    assert shell.run("A=after; exit 3") == 3
    shell.run("echo $A")
    assert lines == ["before"]


def test_a_failing_last_command_is_the_status_of_several_lines(shell: Shell) -> None:
    assert shell.run("true\nfalse") == 1
    assert shell.run("false\ntrue") == 0


def test_both_streams_are_written_in_order(shell: Shell, lines: list[str]) -> None:
    shell.run("echo one; echo two >&2; echo three")
    assert lines == ["one", "two", "three"]


def test_the_variables_can_be_read_and_set_from_outside(shell: Shell, lines: list[str]) -> None:
    shell.run("TAG='a b'")
    assert shell.variables()["TAG"] == "a b"
    shell.set("CODEBUILD_BUILD_SUCCEEDING", "0")
    shell.run("echo $CODEBUILD_BUILD_SUCCEEDING")
    assert lines == ["0"]


def test_an_interrupt_ends_the_command_with_all_that_it_started(
    shell: Shell, lines: list[str]
) -> None:
    def interrupt_once_it_speaks() -> None:
        while not lines:
            time.sleep(0.01)
        shell.interrupt()

    threading.Thread(target=interrupt_once_it_speaks, daemon=True).start()
    with pytest.raises(Interrupted):
        shell.run("sleep 600 & echo $!; sleep 600")
    wait_for_the_end_of(int(lines[0]))
    for _ in range(20):  # started and then killed, one of them would get to speak
        with pytest.raises(Interrupted):
            shell.run("echo never")
    assert "never" not in lines


def test_a_command_ends_with_what_it_left_in_the_background(shell: Shell, lines: list[str]) -> None:
    assert shell.run("sleep 600 & echo $!") == 0
    wait_for_the_end_of(int(lines[0]))
    assert shell.run("exec > /dev/null 2>&1; sleep 0.5; exit 3") == 3


def wait_for_the_end_of(pid: int) -> None:
    deadline = time.monotonic() + 5
    while not is_zombie(pid):
        assert time.monotonic() < deadline, "the background process lives on"
        time.sleep(0.05)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: reaped since it was opened
        return True


def test_bash_is_bash_only_if_the_buildspec_asks_for_it(tmp_path: Path) -> None:
    lines: list[str] = []
    for posix in (True, False):
        folder = tmp_path / str(posix)
        folder.mkdir()
        make_shell(folder, lines.append, posix).run("echo $POSIXLY_CORRECT")
    assert lines == ["y", ""]

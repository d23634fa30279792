"""Programs under the local SageMaker's warden: exit codes, signals, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_cloud.sagemaker.container import Container, ProcessContainer
from local_cloud.sagemaker.log_stream import LogFollower
from local_cloud.warded import KILLED, WARDEN

ENVIRONMENT = {"PATH": os.environ["PATH"]}
PATIENCE_S = 10.0
STANDS_STILL = "echo $$ > child; kill -STOP $$"  # as a function between its invocations


def start(tmp_path: Path, script: str) -> Container:
    return ProcessContainer(["sh", "-c", script], ENVIRONMENT, tmp_path, tmp_path / "log.txt")


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter: reaped since it was opened
        return False
    return stat.rsplit(") ", 1)[1][0] != "Z"


def eventually(true) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def child_of(tmp_path: Path) -> int:
    pid_file = tmp_path / "child"
    assert eventually(lambda: pid_file.exists() and pid_file.read_text().strip())
    return int(pid_file.read_text())


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_programs(tmp_path, code):
    container = start(tmp_path, f"echo out; echo err >&2; exit {code}")
    assert container.wait(PATIENCE_S) == code
    assert (tmp_path / "log.txt").read_text() == "out\nerr\n"


def test_a_signal_is_told_as_containers_tell_it(tmp_path):
    assert start(tmp_path, "kill -9 $$").wait(PATIENCE_S) == KILLED == 137


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("nothing", 127, "executable file not found in $PATH"), ("plain", 126, "Permission denied")],
)
def test_a_program_that_cannot_be_executed_says_so(tmp_path, name, code, said):
    (tmp_path / "plain").write_text("not executable")
    program = str(tmp_path / name) if name == "plain" else name
    container = ProcessContainer([program], ENVIRONMENT, tmp_path, tmp_path / "log.txt")
    assert container.wait(PATIENCE_S) == code
    assert said in (tmp_path / "log.txt").read_text()


def test_sigterm_reaches_the_program(tmp_path):
    container = start(
        tmp_path, "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    )
    assert eventually(lambda: "up" in (tmp_path / "log.txt").read_text())
    assert container.stop(PATIENCE_S) == 5
    assert "bye" in (tmp_path / "log.txt").read_text()


def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    container = start(tmp_path, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    assert eventually(lambda: "up" in (tmp_path / "log.txt").read_text())
    began = time.monotonic()
    assert container.stop(0.3) == KILLED
    assert 0.3 <= time.monotonic() - began < PATIENCE_S


def test_what_a_program_leaves_behind_ends_with_it(tmp_path):
    container = start(tmp_path, "sleep 600 & echo $! > child; exit 0")
    assert container.wait(PATIENCE_S) == 0
    child = child_of(tmp_path)
    assert eventually(lambda: not alive(child))


def test_killing_a_container_kills_all_of_it(tmp_path):
    container = start(tmp_path, "sleep 600 & echo $! > child; wait")
    child = child_of(tmp_path)
    container.kill()
    assert container.poll() == KILLED
    assert eventually(lambda: not alive(child))


@pytest.mark.parametrize("program", ["sleep 600 & echo $! > child; wait", STANDS_STILL])
def test_when_the_local_cloud_dies_its_programs_die(tmp_path, program):
    script = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-I', '-S', {str(WARDEN)!r}, '1', 'sh', '-c',"
        f" {program!r}], stdin=subprocess.PIPE, process_group=0)\n"
        "time.sleep(600)\n"
    )
    cloud = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    child = child_of(tmp_path)
    assert alive(child)
    cloud.send_signal(signal.SIGKILL)
    cloud.wait()
    assert eventually(lambda: not alive(child))


def test_a_log_is_followed_to_its_last_line(tmp_path):
    path, lines = tmp_path / "log.txt", []
    follower = LogFollower(path, lambda batch: lines.extend(line for _, line in batch))
    path.write_bytes(b"one\ntw")
    assert eventually(lambda: lines == ["one"])
    with path.open("ab") as log:
        log.write(b"o\r\n\xff\nlast")
    follower.finish()
    assert lines == ["one", "two", "�", "last"]

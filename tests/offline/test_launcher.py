"""The local cloud ends with the process that started it, whatever ends that one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from local_cloud.launcher import SCRIPTS, RunningCloud, free_port

PARENT = """
import sys, time
from pathlib import Path
from local_cloud.launcher import RunningCloud

RunningCloud(Path(sys.argv[1])).start()
print("up", flush=True)
time.sleep(600)
"""


def test_the_cloud_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    arguments = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout and parent.stdout.readline() == b"up\n"
        assert running_in(tmp_path)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while left := running_in(tmp_path):
        assert time.monotonic() < deadline, f"processes {left} outlived their parent"
        time.sleep(0.1)


def test_an_interrupted_start_leaves_no_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        assert running_in(tmp_path)
        raise KeyboardInterrupt

    monkeypatch.setattr(urllib.request, "urlopen", interrupted)
    cloud = RunningCloud(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cloud.start()
    assert not running_in(tmp_path)


def test_an_interrupt_while_the_process_is_being_made_leaves_no_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        made = Popen(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        return made

    Popen = subprocess.Popen  # noqa: N806, the class
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunningCloud(tmp_path).start()
    assert not running_in(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


LEAVES_A_CHILD = """
import subprocess, time

subprocess.Popen(["sleep", "600"], process_group=0)
print("up", flush=True)
time.sleep(600)
"""


def test_a_stop_ends_every_group_of_the_session_even_if_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: subprocess.Popen[bytes], *arguments: Any) -> int:
        signal.raise_signal(signal.SIGINT)
        return wait(self, *arguments)

    cloud = RunningCloud(tmp_path)
    server = cloud._process = subprocess.Popen(
        [sys.executable, "-c", LEAVES_A_CHILD],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout and server.stdout.readline() == b"up\n"
    assert len(running_in(tmp_path)) == 2
    wait = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cloud.stop()
    assert not running_in(tmp_path)
    server.stdout.close()


def test_the_demo_ends_its_cloud_when_its_terminal_closes(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    arguments = [sys.executable, "-m", "demo", "--port", str(port)]
    with (
        (tmp_path / "console.txt").open("wb") as console,
        subprocess.Popen(
            arguments,
            env=environment,
            stdout=console,
            stderr=console,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup's is inherited
        ) as demo,
    ):
        cloud = SCRIPTS.parent / f"build/demo-{port}/cloud"
        deadline = time.monotonic() + 60
        while not running_in(cloud):
            assert time.monotonic() < deadline and demo.poll() is None, "the demo never started"
            time.sleep(0.05)
        demo.send_signal(signal.SIGHUP)
    assert demo.returncode == 130
    assert "all its processes have ended" in (tmp_path / "console.txt").read_text()
    assert not running_in(cloud)
    shutil.rmtree(cloud.parent)


def running_in(folder: Path) -> list[int]:
    """Return the processes whose working folder is this one; a zombie has none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve(strict=True) == folder.resolve():
                found.append(int(process.name))
        except OSError:
            continue
    return found

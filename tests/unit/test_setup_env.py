"""An environment that another checkout owns is not touched; Ctrl-C ends the set-up in a line."""

import os
import signal
import subprocess
import sys

import setup_env


def test_a_linked_folder_is_refused(tmp_path, monkeypatch, capsys):
    owned, link, lock = tmp_path / "owned", tmp_path / ".venv", tmp_path / "lock.txt"
    owned.mkdir()
    (owned / "kept").touch()
    link.symlink_to(owned)
    lock.touch()
    monkeypatch.setattr(sys, "argv", ["setup_env.py", str(link), str(lock)])
    assert setup_env.main() == 1
    assert f"{link} is a link to {owned}" in capsys.readouterr().err
    assert (owned / "kept").exists()


def test_an_interrupted_set_up_says_so_and_is_not_taken_for_done(tmp_path):
    folder, lock = tmp_path / "environment", tmp_path / "lock.txt"
    lock.touch()
    command = [sys.executable, setup_env.__file__, str(folder), str(lock)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        process.stdout.readline()  # "installing …": making the environment takes seconds from here
        os.killpg(process.pid, signal.SIGINT)  # the whole group, as a terminal does
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert told == f"{folder}: interrupted; the next make installs it afresh\n"
    assert not (folder / setup_env.STAMP).exists()

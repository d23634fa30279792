"""Root gives up its rights; others stay who they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ethnicity_prediction import privileges

SCRIPT = (
    "import os, sys; sys.path.insert(0, sys.argv[1])\n"
    "from ethnicity_prediction.privileges import give_up\n"
    "give_up(os.environ)\n"
    "print(os.getuid(), os.getgid(), os.getgroups())"
)


def whoami(**variables: str) -> str:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return done.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_root_becomes_the_user_of_the_variable_and_belongs_to_no_group():
    assert whoami(SERVE_UID="65534") == "65534 65534 []"


def test_without_the_variable_nobody_becomes_another():
    assert whoami() == f"{os.getuid()} {os.getgid()} {os.getgroups()}"


def test_root_that_may_not_become_another_serves_and_says_so(monkeypatch, caplog):
    def refuse(_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setgroups", refuse)
    privileges.give_up({privileges.VARIABLE: "65534"})
    assert "read as root, for user 65534 may not be taken" in caplog.text

"""An environment that another checkout owns is not touched."""

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

"""How a program of an image becomes a process of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_cloud.unpacked import ImageError, UnpackedImage, command


@pytest.fixture
def image(tmp_path: Path) -> UnpackedImage:
    program = tmp_path / "root/opt/program/train"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "root/opt/program/serve").write_text("#!/bin/sh\n")
    (tmp_path / "environment/bin").mkdir(parents=True)
    env = {"PATH": "/opt/program:/usr/local/bin:/usr/bin", "CODE": "/opt/program", "X": "1"}
    return UnpackedImage(
        tmp_path / "root", env, "/opt/program", ["train"], [], tmp_path / "environment"
    )


def test_the_program_is_found_where_the_images_path_says(image: UnpackedImage) -> None:
    argv, env, cwd = command(image, ["train", "--fast"], Path("/ml"))
    assert argv == [str(image.root / "opt/program/train"), "--fast"]
    assert cwd == image.root / "opt/program"
    assert env["ML_ROOT"] == "/ml"
    assert env["CODE"] == str(image.root / "opt/program")
    assert env["X"] == "1"


def test_the_environment_stands_for_the_images_python(image: UnpackedImage) -> None:
    _, env, _ = command(image, [])
    folders = env["PATH"].split(":")
    assert folders[:2] == [str(image.root / "opt/program"), str(image.environment / "bin")]
    assert "/usr/local/bin" not in folders


def test_a_program_that_cannot_be_run_fails_in_the_runtimes_words(image: UnpackedImage) -> None:
    with pytest.raises(ImageError, match=r'exec: "evaluate": executable file not found in \$PATH'):
        command(image, ["evaluate"])
    with pytest.raises(ImageError, match='exec: "serve": permission denied'):
        command(image, ["serve"])


def test_an_image_without_a_command_needs_one(image: UnpackedImage) -> None:
    image.cmd.clear()
    with pytest.raises(ImageError, match="no command specified"):
        command(image, [])

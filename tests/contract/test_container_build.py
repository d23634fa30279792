"""build_image.sh against stand-ins for docker and the AWS CLI that write down every call."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from containers import MODEL_CODE, ROOT

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/ethnicity-pred-ecr-kmm"
COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
RECORD = """#!/usr/bin/env bash
[[ "$*" == *--help* ]] || echo "$(basename "$0") $*" >>"$CALLS"
"""
DOCKER = (
    RECORD
    + """
case "$1" in
  build) [[ "$2" != --help || -z "$BUILDKIT" ]] || echo "--provenance string" ;;
  login) grep -q secret || exit 1 ;;
  run) exit "${TESTS_EXIT:-0}" ;;
  push) echo "${2##*:}" >>"$PUSHED" ;;
esac
"""
)
AWS = (
    RECORD
    + """
case "$*" in
  *get-login-password*) echo secret ;;
  *describe-images*)
    [[ -n "${ECR_REFUSES:-}" ]] && { echo "AccessDeniedException: no" >&2; exit 254; }
    all="$*"; tag="${all##*imageTag=}"; tag="${tag%% *}"
    if grep -qx "$tag" "$PUSHED"; then echo "sha256:of-$tag"; else
      echo "An error occurred (ImageNotFoundException)" >&2; exit 254; fi ;;
esac
"""
)


class Build:
    """One run of the build in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name, text in (("docker", DOCKER), ("aws", AWS)):
            path = folder / "bin" / name
            path.write_text(text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (folder / "model-code").symlink_to(MODEL_CODE)
        (folder / "pushed").touch()
        self.calls: list[str] = []

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        record = self.folder / "calls"
        record.write_text("")
        environ = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(record),
            "BUILDKIT": "yes",
            "PUSHED": str(self.folder / "pushed"),
            "ECR_REPOSITORY_URI": REPOSITORY,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": COMMIT,
            "BASE_IMAGE": "",
            "TORCH_INDEX_URL": "",
        }
        spec = yaml.safe_load((MODEL_CODE / "buildspec.yml").read_text())
        [command] = spec["phases"]["build"]["commands"]
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environ | variables,
            capture_output=True,
            text=True,
        )
        self.calls = record.read_text().splitlines()
        return done

    def docker(self, verb: str) -> list[str]:
        return [call for call in self.calls if call.startswith(f"docker {verb} ")]

    @property
    def image(self) -> dict:
        return json.loads((self.folder / "image.json").read_text())


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_a_new_commit_is_tested_then_built_then_pushed(build: Build):
    assert build.run().returncode == 0
    verbs = [call.split()[1] for call in build.calls if call.startswith("docker")]
    assert verbs == ["login", "build", "run", "build", "push", "build", "push"]
    assert build.image == {
        "repository": REPOSITORY,
        "commit": COMMIT,
        "train": {"tag": f"{COMMIT}-train", "digest": f"sha256:of-{COMMIT}-train"},
        "serve": {"tag": f"{COMMIT}-serve", "digest": f"sha256:of-{COMMIT}-serve"},
    }


def test_images_are_plain_manifests_and_the_tests_have_no_network(build: Build):
    build.run()
    for call in build.docker("build"):
        assert "--provenance=false --sbom=false" in call
        assert "--build-arg" not in call
    assert "--network none" in build.docker("run")[0]


def test_a_docker_without_buildkit_is_not_given_its_options(build: Build):
    assert build.run(BUILDKIT="").returncode == 0
    assert [call for call in build.docker("build") if "--provenance" in call] == []


def test_build_arguments_are_passed_where_they_are_given(build: Build):
    build.run(BASE_IMAGE="python:3.12", TORCH_INDEX_URL="https://wheels.example/cpu")
    for call in build.docker("build"):
        assert "--build-arg BASE_IMAGE=python:3.12" in call
        assert "--build-arg TORCH_INDEX_URL=https://wheels.example/cpu" in call


def test_the_images_of_a_known_commit_are_reused(build: Build):
    build.run()
    first = build.image
    done = build.run()
    assert done.returncode == 0
    assert "reusing" in done.stdout
    assert not [call for call in build.calls if call.startswith("docker")]
    assert build.image == first


def test_a_push_that_stopped_half_way_is_completed(build: Build):
    (build.folder / "pushed").write_text(f"{COMMIT}-train\n")
    assert build.run().returncode == 0
    assert [call.rsplit("-", 1)[1] for call in build.docker("push")] == ["serve"]


def test_a_failing_test_pushes_nothing(build: Build):
    assert build.run(TESTS_EXIT="1").returncode != 0
    assert not build.docker("push")
    assert not (build.folder / "image.json").exists()


def test_an_error_of_ecr_is_not_taken_for_a_missing_image(build: Build):
    done = build.run(ECR_REFUSES="1")
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr
    assert not build.docker("build")


def test_only_the_image_file_becomes_the_artifact():
    spec = yaml.safe_load((MODEL_CODE / "buildspec.yml").read_text())
    assert spec["artifacts"]["files"] == ["image.json"]
    assert (ROOT / "model-code/build_image.sh").is_file()

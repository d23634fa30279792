"""build_image.sh against stand-ins for docker and the AWS CLI that write down every call."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from containers import MODEL_CODE, ROOT
from local_cloud.docker_cli import dockerfile, environments, stage

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
  run) [[ "$*" != *pytest* ]] || exit "${TESTS_EXIT:-0}"; cat ;;
  push) echo "${2##*:}" >>"$PUSHED" ;;
esac
"""
)
AWS = (
    RECORD
    + """
case "$*" in
  *get-login-password*) echo secret ;;
  "s3 cp"*) cp "$4" "$KEPT" ;;
  *scanning-configuration*) printf '%b\n' "${SCANS:-True\tSCAN_ON_PUSH}" ;;
  *scan-findings*)
    line=$(head -n 1 "$SCAN"); sed -i 1d "$SCAN"
    [[ "$line" != *Exception* ]] || { echo "$line" >&2; exit 254; }
    printf '%b\n' "${line:-COMPLETE\tNone\tdone}" ;;
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
        for name, text in (("docker", DOCKER), ("aws", AWS), ("sleep", RECORD)):
            path = folder / "bin" / name
            path.write_text(text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (folder / "model-code").symlink_to(MODEL_CODE)
        (folder / "pushed").touch()
        (folder / "kept").mkdir()
        self.calls: list[str] = []

    def run(self, *scan: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Build; `scan` is what ECR says of the images' scans, each time it is asked."""
        record = self.folder / "calls"
        record.write_text("")
        (self.folder / "scan").write_text("\n".join(scan))
        environ = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(record),
            "BUILDKIT": "yes",
            "PUSHED": str(self.folder / "pushed"),
            "KEPT": str(self.folder / "kept"),
            "SCAN": str(self.folder / "scan"),
            "SBOM_URI": "s3://models/sboms",
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

    @property
    def kept(self) -> dict[str, str]:
        """What was kept in S3, by name."""
        return {path.name: path.read_text() for path in (self.folder / "kept").iterdir()}

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
    each = ["build", "run", "push"]
    assert verbs == ["login", "build", "run", *each, *each]
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
    for call in build.docker("run"):
        assert "--rm" in call
        assert "--network none" in call


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
    assert "takes effect with the next commit (git commit --allow-empty)" in done.stdout
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


def test_what_each_image_holds_is_kept_before_it_is_pushed(build: Build):
    build.run()
    names = [f"{COMMIT}-{target}.cdx.json" for target in ("train", "serve")]
    assert sorted(build.kept) == sorted(names)
    assert set(build.kept.values()) == {(MODEL_CODE / "sbom.py").read_text()}
    for target in ("train", "serve"):
        kept = f"aws s3 cp --only-show-errors {COMMIT}-{target}.cdx.json s3://models/sboms/"
        (at,) = [n for n, call in enumerate(build.calls) if call.startswith(kept)]
        (push,) = [
            n
            for n, c in enumerate(build.calls)
            if c.endswith(f"push {REPOSITORY}:{COMMIT}-{target}")
        ]
        assert at < push


@pytest.mark.parametrize(
    ("says", "waits"),
    [
        ((), 0),
        (("IN_PROGRESS\\tNone\\tNone", "PENDING\\tNone\\tNone", "COMPLETE\\t0\\tdone"), 2),
        (("An error (ScanNotFoundException)", "COMPLETE\\tNone\\tdone"), 1),
        (("ACTIVE\\tNone\\tContinuous scan is selected",), 0),
    ],
)
def test_images_without_critical_findings_are_handed_on(build: Build, says, waits):
    done = build.run(*says)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no critical finding") == 2
    assert len([call for call in build.calls if call.startswith("sleep")]) == waits


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("COMPLETE\\t2\\tdone", "has 2 critical findings"),
        ("ACTIVE\\t1\\tContinuous scan is selected", "has 1 critical findings"),
        ("FAILED\\tNone\\tInternal error", "ended as FAILED: Internal error"),
        ("UNHEARD_OF\\tNone\\tNone", "ended as UNHEARD_OF"),
        ("An error occurred (AccessDeniedException)", "AccessDenied"),
    ],
)
def test_a_scan_that_is_bad_or_unknown_fails_the_build(build: Build, says, reason):
    done = build.run("COMPLETE\\tNone\\tdone", says)
    assert done.returncode != 0
    assert reason in done.stderr
    assert not (build.folder / "image.json").exists()


def test_a_reused_image_is_judged_again_and_the_cure_is_another_commit(build: Build):
    build.run()
    done = build.run("COMPLETE\\t1\\tdone", BASE_IMAGE="python:newer")
    assert done.returncode != 0
    assert "push a commit (git commit --allow-empty): images are kept by commit" in done.stderr


@pytest.mark.parametrize(
    ("says", "waits"),
    [
        (["UNSUPPORTED_IMAGE\\tNone\\tno such system"], 0),
        (["FAILED\\tNone\\tUnsupportedImageError: no such system"], 0),
        (["An error occurred (ScanNotFoundException)"] * 20, 19),
    ],
)
def test_an_image_that_cannot_be_scanned_is_told_and_handed_on(build: Build, says, waits):
    done = build.run(*says)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no judgement on its vulnerabilities") == 1
    assert len([call for call in build.calls if call.startswith("sleep")]) == waits


def test_a_scan_without_end_fails_the_build(build: Build):
    done = build.run(*["IN_PROGRESS\\tNone\\tNone"] * 200)
    assert done.returncode != 0
    assert "still IN_PROGRESS after 200 tries" in done.stderr


def test_a_repository_that_is_not_scanned_is_told(build: Build):
    done = build.run(SCANS="False\\tMANUAL")
    assert done.returncode == 0
    assert "does not scan" in done.stdout
    assert not [call for call in build.calls if "scan-findings" in call]


@pytest.mark.parametrize(
    ("checks", "installed", "passes"),
    [([True, True], 0, True), ([False, True], 1, True), ([False, False], 1, False)],
)
def test_nvidias_libraries_are_all_that_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checks, installed, passes
):
    text = (MODEL_CODE / "Dockerfile").read_text()
    [train] = [each for each in dockerfile.parse(text).stages if each.name == "train"]
    [line] = [each for each in train.instructions if "pip check" in each.value]
    added: list[list[Path]] = []
    monkeypatch.setattr(environments, "is_complete", lambda folder: checks.pop(0))
    monkeypatch.setattr(
        environments, "extend", lambda folder, files, options: added.append(files) or folder
    )
    built = stage.Built(root=MODEL_CODE, environment=tmp_path)
    with contextlib.nullcontext() if passes else pytest.raises(dockerfile.DockerfileError):
        stage.run(built, line)
    assert added == [[MODEL_CODE / "cuda-requirements.txt"]] * installed
    assert checks == []


def test_only_the_image_file_becomes_the_artifact():
    spec = yaml.safe_load((MODEL_CODE / "buildspec.yml").read_text())
    assert spec["artifacts"]["files"] == ["image.json"]
    assert (ROOT / "model-code/build_image.sh").is_file()


def test_the_containers_tests_mind_no_settings_of_a_folder_above(processes, tmp_path):
    """The demo unpacks the image below this repository, where pytest would find its settings."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nno_such_option = 1\n")
    program = tmp_path / "program"
    shutil.copytree(MODEL_CODE, program, ignore=shutil.ignore_patterns("__pycache__"))
    python = processes.image("test").environment / "bin/python"
    command = [str(python), "-m", "pytest", "-q", "tests/test_settings.py"]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout
    assert not list(tmp_path.rglob(".pytest_cache"))

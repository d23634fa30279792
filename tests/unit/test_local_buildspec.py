"""What CodeBuild makes of a buildspec, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_cloud.codebuild.artifacts import ArtifactError, pack, select
from local_cloud.codebuild.buildspec import Artifacts, BuildspecError, next_phase, parse

FULL = """\
version: 0.2
env:
  shell: bash
  variables: {A: 1, B: true}
  exported-variables: [TAG]
phases:
  install: {runtime-versions: {python: 3.13}, commands: [one]}
  build: {commands: [two, three], finally: [last]}
artifacts: {files: [image.json], discard-paths: yes}
"""


def test_a_buildspec_is_read_whole() -> None:
    spec = parse(FULL)
    assert spec.shell == "bash"
    assert spec.variables == {"A": "1", "B": "true"}
    assert spec.exported == ("TAG",)
    assert spec.phases["BUILD"].commands == ("two", "three")
    assert spec.phases["BUILD"].last == ("last",)
    assert spec.artifacts == Artifacts(("image.json",), discard_paths=True)
    assert "python 3.13" in spec.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("version: 0.1", "0.2 is needed"),
        ("version: 0.2\nrun-as: me", "run-as"),
        ("version: 0.2\nbatch: {}", "batch"),
        ("version: 0.2\nreports: {}", "reports"),
    ],
)
def test_what_is_not_emulated_is_refused_by_name(change: str, words: str) -> None:
    with pytest.raises(BuildspecError, match=words):
        parse(f"{change}\nphases: {{build: {{commands: [x]}}}}\n")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("{parameter-store: {A: /a}}", "parameter-store"),
        ("{secrets-manager: {A: a}}", "secrets-manager"),
        ("{shell: powershell}", "powershell"),
    ],
)
def test_variables_from_elsewhere_are_refused(env: str, words: str) -> None:
    with pytest.raises(BuildspecError, match=words):
        parse(f"version: 0.2\nenv: {env}\nphases: {{build: {{commands: [x]}}}}\n")


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ("{build: {commands: [{a: b}]}}", "string type"),
        ("{build: {commands: [x], on-failure: CONTINUE}}", "CONTINUE"),
        ("{}", "phases is missing"),
        ("{deploy: {commands: [x]}}", "deploy"),
    ],
)
def test_phases_that_cannot_be_followed_are_refused(phases: str, words: str) -> None:
    with pytest.raises(BuildspecError, match=words):
        parse(f"version: 0.2\nphases: {phases}\n")


def test_secondary_artifacts_are_refused_by_name() -> None:
    text = "version: 0.2\nphases: {build: {commands: [x]}}\nartifacts: {secondary-artifacts: {}}\n"
    with pytest.raises(BuildspecError, match="secondary-artifacts"):
        parse(text)


@pytest.mark.parametrize(
    ("phase", "succeeded", "following"),
    [
        ("INSTALL", True, "PRE_BUILD"),
        ("INSTALL", False, "FINALIZING"),
        ("PRE_BUILD", False, "FINALIZING"),
        ("BUILD", True, "POST_BUILD"),
        ("BUILD", False, "POST_BUILD"),
        ("POST_BUILD", True, "UPLOAD_ARTIFACTS"),
        ("POST_BUILD", False, "UPLOAD_ARTIFACTS"),
    ],
)
def test_phases_follow_each_other_as_on_aws(phase: str, succeeded: bool, following: str) -> None:
    assert next_phase(parse(FULL), phase, succeeded) == following


def test_on_failure_abort_skips_post_build() -> None:
    spec = parse("version: 0.2\nphases: {build: {commands: [x], on-failure: ABORT}}\n")
    assert next_phase(spec, "BUILD", False) == "FINALIZING"


def test_artifacts_are_chosen_by_pattern_and_exclusion(tmp_path: Path) -> None:
    for name in ("a.json", "sub/b.json", "sub/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    chosen = select(tmp_path, Artifacts(("**/*.json",), exclude_paths=("sub/*",)))
    assert [path.name for path in chosen] == ["a.json"]


def test_missing_artifacts_fail_in_codebuilds_words(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no matching artifact paths found"):
        pack(tmp_path, Artifacts(("image.json",)))
    with pytest.raises(ArtifactError, match="no matching base directory path found for out"):
        pack(tmp_path, Artifacts(("*",), base_directory="out"))


def test_our_own_buildspec_is_understood() -> None:
    text = (Path(__file__).parents[2] / "model-code" / "buildspec.yml").read_text()
    spec = parse(text)
    assert spec.artifacts is not None
    assert spec.artifacts.files == ("image.json",)

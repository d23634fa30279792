"""The notebook's lifecycle scripts: small, quick, and careful with what the user made."""

import base64
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

LIMIT = 16_384  # characters of a lifecycle script, SageMaker quotas
FAKE_AWS = """#!/bin/bash
if [ ! -f "$CLOUD/zip" ]; then
  echo "An error occurred (404) when calling HeadObject: Not Found" >&2
  exit 254
fi
case "$2" in
  head-object) cat "$CLOUD/version" ;;
  get-object) [ "${@: -2:1}" = "$(cat "$CLOUD/version")" ] && cp "$CLOUD/zip" "${@: -1}" ;;
  *) exit 2 ;;
esac
"""


@pytest.fixture
def scripts(prep, stack_of):
    config = prep["Resources"]["NotebookLifecycleConfig"]["Properties"]
    stack = stack_of(prep, LambdaCodeBucket="the-bucket")
    return {when: stack(config[when][0]["Content"]) for when in ("OnCreate", "OnStart")}


@pytest.mark.parametrize("when", ["OnCreate", "OnStart"])
def test_script_fits_and_is_bash(scripts, when):
    text = scripts[when]
    assert len(base64.b64encode(text.encode())) <= LIMIT
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_start_script_leaves_the_waiting_to_the_background(scripts):
    last = re.sub(r" *\\\n *", " ", scripts["OnStart"]).rstrip().splitlines()[-1]
    assert last == (
        "setsid nohup runuser -u ec2-user -- "
        "env HOME=/home/ec2-user AWS_DEFAULT_REGION=us-east-1 "
        "/usr/local/bin/unpack-byo-staging the-bucket /home/ec2-user/SageMaker "
        "> /dev/null 2>&1 < /dev/null &"
    )


def test_waiting_is_bounded(scripts):
    assert "deadline=$((SECONDS + 86400))" in scripts["OnStart"]


@pytest.fixture
def watcher(scripts, tmp_path):
    """The watcher that the start script installs, with a folder and a bucket of its own."""
    inner = scripts["OnStart"].split("<<'WATCHER'\n")[1].split("\nWATCHER\n")[0]
    program = tmp_path / "unpack-byo-staging"
    program.write_text(inner.replace("sleep 20", "sleep 0.1"))
    (tmp_path / "bin").mkdir()
    aws = tmp_path / "bin/aws"
    aws.write_text(FAKE_AWS)
    aws.chmod(0o755)
    (tmp_path / "cloud").mkdir()
    (tmp_path / "SageMaker").mkdir()
    return Watcher(program, tmp_path)


class Watcher:
    def __init__(self, program: Path, root: Path) -> None:
        self.argv = ["bash", str(program), "the-bucket", str(root / "SageMaker")]
        self.cloud, self.home = root / "cloud", root / "SageMaker"
        path = f"{root}/bin:{os.environ['PATH']}"
        self.environment = {"PATH": path, "CLOUD": str(self.cloud)}

    def upload(self, version: str, files: dict[str, tuple[str, int]]) -> None:
        with zipfile.ZipFile(self.cloud / "zip", "w") as archive:
            for name, (text, mode) in files.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (0o100000 | mode) << 16
                archive.writestr(info, text)
        (self.cloud / "version").write_text(version + "\n")

    def start(self) -> subprocess.Popen:
        return subprocess.Popen(self.argv, env=self.environment)

    def run(self) -> str:
        subprocess.run(self.argv, env=self.environment, check=True, timeout=20)
        return (self.home / "byo-staging.log").read_text()


def test_zip_is_unpacked_and_programs_stay_executable(watcher):
    watcher.upload("v1", {"model-code/train": ("#!", 0o755), "lab.ipynb": ("{}", 0o644)})
    assert "unpacked version v1" in watcher.run()
    staged = watcher.home / "byo-staging"
    assert (staged / "model-code/train").stat().st_mode & 0o777 == 0o755
    assert (staged / "lab.ipynb").stat().st_mode & 0o777 == 0o644


def test_zip_may_come_later_than_the_notebook(watcher):
    process = watcher.start()
    log = watcher.home / "byo-staging.log"
    while "not yet: An error occurred (404)" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None
    watcher.upload("v1", {"a": ("1", 0o644)})
    assert process.wait(timeout=20) == 0
    assert (watcher.home / "byo-staging/a").read_text() == "1"
    assert log.read_text().count("not yet") == 1  # one line, however often it asked


def test_same_zip_is_unpacked_once(watcher):
    watcher.upload("v1", {"a": ("1", 0o644)})
    watcher.run()
    (watcher.home / "byo-staging/a").write_text("changed by the user")
    assert "unpacked already" in watcher.run()
    assert (watcher.home / "byo-staging/a").read_text() == "changed by the user"


def test_new_zip_keeps_the_previous_folder_and_the_users_repository(watcher):
    repository = watcher.home / "ethnicity-pred-repo"
    repository.mkdir()
    (repository / "a").write_text("the user's own")
    watcher.upload("v1", {"a": ("1", 0o644)})
    watcher.run()
    watcher.upload("v2", {"b": ("2", 0o644)})
    watcher.run()
    assert [p.name for p in (watcher.home / "byo-staging").iterdir()] == ["b"]
    assert [p.name for p in (watcher.home / "byo-staging.previous").iterdir()] == ["a"]
    assert (repository / "a").read_text() == "the user's own"
    left = {p.name for p in watcher.home.iterdir() if p.name.startswith(".byo-staging")}
    assert left == {".byo-staging.lock", ".byo-staging.version"}


def test_broken_zip_changes_nothing_and_says_so(watcher):
    watcher.upload("v1", {"a": ("1", 0o644)})
    watcher.run()
    (watcher.cloud / "zip").write_bytes(b"no zip at all")
    (watcher.cloud / "version").write_text("v2\n")
    with pytest.raises(subprocess.CalledProcessError):
        watcher.run()
    assert (watcher.home / "byo-staging/a").read_text() == "1"
    assert "BadZipFile" in (watcher.home / "byo-staging.log").read_text()


def test_two_watchers_do_not_meet(watcher):
    first = watcher.start()
    log = watcher.home / "byo-staging.log"
    while not log.exists() or "waiting for s3://the-bucket/byo-staging.zip" not in log.read_text():
        assert first.poll() is None
    assert "another watcher is at work" in watcher.run()
    first.terminate()
    first.wait(timeout=20)


def test_notebook_clones_the_repository_into_the_seeds_folder(prep):
    notebook = prep["Resources"]["NotebookInstance"]["Properties"]
    assert notebook["DefaultCodeRepository"] == {"Fn::GetAtt": ["Repository", "CloneUrlHttp"]}
    assert notebook["PlatformIdentifier"] == "notebook-al2023-v1"

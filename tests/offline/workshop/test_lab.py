"""Both notebooks, run cell by cell: the lab as its instance would, the exploration by itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from demo import calls
from local_cloud.docker_cli.build import Builder
from local_cloud.docker_cli.environments import site_packages
from local_cloud.docker_cli.store import Store
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud
from local_cloud.unpacked import ENVIRONMENT_LABEL
from nbclient import NotebookClient
from package_lambdas import upload
from stacks import Stacks

ROOT = Path(__file__).resolve().parents[2]
PREP, PIPELINE = "MLOps-Ethnicity-Prediction", "MLOps-BYO-BuildPipeline"
LAB = "03.MLOps-BYO-LabNotebook.ipynb"
# Enough for the embedded glyphs, and counted in epochs: a busy machine must not fail the gate.
SMALL = {"epochs": 6, "width": 8, "batch_size": 64, "max_minutes": 20}
HYPERPARAMETERS = json.dumps(SMALL)
CELL_S = 900

pytestmark = [pytest.mark.hard, pytest.mark.timeout(1800)]


@dataclass
class Played:
    """A notebook that ran to its end, and where."""

    notebook: Any
    folder: Path
    cloud: RunningCloud | None = None

    def output(self, cell_id: str) -> str:
        """Return all text of a cell's outputs."""
        (cell,) = [c for c in self.notebook.cells if c.id == cell_id]
        texts = []
        for output in cell.outputs:
            data = output.get("data", {})
            texts.append(output.get("text", "") + data.get("text/plain", ""))
            texts.append(data.get("text/html", ""))
        return "\n".join(texts)

    def pictures(self, cell_id: str) -> int:
        """Return how many pictures a cell shows."""
        (cell,) = [c for c in self.notebook.cells if c.id == cell_id]
        return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def play(notebook: Path, environment: dict[str, str]) -> Any:
    """Run a notebook in its own folder, in a kernel with this environment."""
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    client.execute(env=environment)
    return content


def kernel_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return a kernel's variables: nothing of this process but where programs are."""
    path = f"{ROOT / '.tools/aws/bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **variables}


# -- the lab -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    work = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_CLOUD_TIME_SCALE", "0.01")
        with RunningCloud(work / "cloud") as cloud:
            outputs = deploy(cloud)
            environment = notebook_environment(cloud, outputs, work)
            folder = staged_clone(cloud, outputs, work)
            yield Played(play(folder / LAB, environment), folder, cloud)


def deploy(cloud: RunningCloud) -> dict[str, str]:
    """Create both stacks as the README tells it, with a shorter training."""
    stacks = Stacks(cloud.client("cloudformation"), cloud.client("s3"), report=lambda line: None)
    prep = stacks.deploy(PREP, ROOT / "01-prep.yml", {"UniqueID": "kmm"})
    bucket = prep["LambdaFunctionsBucket"]
    zips = sorted((ROOT / "build/lambda").glob("*.zip"))
    parameters = {
        "UniqueID": "kmm",
        "LambdaFunctionsBucket": bucket,
        "LambdaCodePrefix": upload(cloud.client("s3"), bucket, zips),
        "HyperParameters": HYPERPARAMETERS,
    }
    template = ROOT / "02-build-pipeline.yml"
    return prep | stacks.deploy(PIPELINE, template, parameters, bucket)


def notebook_environment(
    cloud: RunningCloud, outputs: dict[str, str], work: Path
) -> dict[str, str]:
    """Act as the notebook's own role: whatever it may not do must fail here."""
    role = outputs["NotebookRoleName"]
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    cloud.client("iam").update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    session = cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="SageMaker"
    )
    keys = session["Credentials"]
    return kernel_environment(
        work,
        AWS_ENDPOINT_URL=cloud.url,
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID=keys["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
        AWS_SESSION_TOKEN=keys["SessionToken"],
        AWS_EC2_METADATA_DISABLED="true",
    )


def staged_clone(cloud: RunningCloud, outputs: dict[str, str], work: Path) -> Path:
    """Lay ~/SageMaker out as on the instance: the empty clone, and byo-staging copied into it."""
    tools = {"PATH": f"{ROOT / '.tools/aws/bin'}:{os.environ['PATH']}"}
    clone, staging = work / "ethnicity-pred-repo", work / "byo-staging"
    calls.git(
        ["clone", "--quiet", outputs["RepositoryCloneUrl"], str(clone)],
        work,
        cloud.environment() | tools,
    )
    staged = cloud.client("s3").get_object(
        Bucket=outputs["LambdaFunctionsBucket"], Key="byo-staging.zip"
    )
    with zipfile.ZipFile(io.BytesIO(staged["Body"].read())) as archive:
        archive.extractall(staging)
    subprocess.run(["bash", "-c", f"cp -R {staging}/* {clone}/"], check=True)
    return clone


def test_every_cell_of_the_lab_runs_as_the_notebooks_role(lab):
    codes = [cell for cell in lab.notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))


def test_the_lab_shows_its_data_and_the_models_answers(lab):
    for cell_id in ("draw", "counts", "dev-all", "compare", "cured"):
        assert lab.pictures(cell_id) == 1, cell_id
    assert "14 of 14 test images were answered right" in lab.output("dev-all")


def test_the_first_run_waits_for_the_approval_and_then_ends_in_production(lab):
    assert "waits for approval" in lab.output("follow")
    assert "<b>Succeeded</b>" in lab.output("follow-prod")
    assert "probabilities" in lab.output("prod-one")


def test_the_gate_stops_the_model_that_lacks_a_group_and_says_why(lab):
    assert "<b>Failed</b>" in lab.output("leave-out")
    said = lab.output("stopped")
    assert "EvaluateModel/FullTest: the gate stops this model" in said
    assert "Star" in said


def test_production_keeps_the_approved_model_while_the_biased_one_is_stopped(lab):
    version = lab.output("prod-one").split("'version': '")[1].split("'")[0]
    assert version in lab.output("prod-still")


def test_the_complete_data_pass_again(lab):
    assert "waits for approval" in lab.output("retrain")
    assert "<b>Succeeded</b>" in lab.output("release-again")


def test_the_commit_holds_the_staged_files_and_nothing_that_running_left(lab):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=lab.folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"model-code/Dockerfile", LAB, "draw_glyphs.py", "test-data/labels.csv"} <= set(listed)
    assert not [name for name in listed if "__pycache__" in name or name.startswith("data/")]


def test_clean_up_leaves_nothing_of_the_lab(lab):
    """The lab's last section, after everything that a workshop leaves behind."""
    command = [sys.executable, str(ROOT / "scripts/clean_up.py"), "--unique-id", "kmm", "--yes"]
    done = subprocess.run(
        command, env=lab.cloud.environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Left: nothing" in done.stdout
    groups = lab.cloud.client("logs").describe_log_groups()["logGroups"]
    assert not [g["logGroupName"] for g in groups if "kmm" in g["logGroupName"]]


# -- the exploration ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exploration(tmp_path_factory: pytest.TempPathFactory) -> Played:
    work = tmp_path_factory.mktemp("exploration")
    for name in ("notebooks", "model-code", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__", "data", ".*")
        shutil.copytree(ROOT / name, work / name, ignore=ignored)
    folder = work / "notebooks"
    environment = kernel_environment(
        work,
        PYTHONPATH=str(site_packages(container_environment())),
        OMP_NUM_THREADS="1",  # others share this machine
    )
    return Played(play(folder / "Predict_ethnicity.ipynb", environment), folder)


def container_environment() -> Path:
    """Return the Python environment of the container's target `train`, made by `make setup`."""
    with tempfile.TemporaryDirectory() as scratch:
        builder = Builder(Store(Path(scratch)), ROOT / "model-code", {})
        image = builder.build(ROOT / "model-code/Dockerfile", "train", ())
    return Path(json.loads(image.config)["config"]["Labels"][ENVIRONMENT_LABEL])


def test_the_exploration_trains_the_containers_own_model(exploration):
    for cell_id in ("data", "counts", "train", "score", "left-out", "left-out-confusion"):
        assert exploration.pictures(cell_id) == 1, cell_id
    card = json.loads((exploration.folder / "data/jobs/complete/model/model.json").read_text())
    assert card["metrics"]["macro_recall"] > 0.85
    assert card["version"] == "complete"


def test_the_group_that_was_left_out_is_never_found(exploration):
    folder = exploration.folder / "data/jobs/without-Star/model"
    card = json.loads((folder / "model.json").read_text())
    assert "Star" not in card["labels"]
    assert card["metrics"]["accuracy"] < 0.81

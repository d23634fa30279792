"""The exploration notebook, run cell by cell in a copy of its folders."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from demo.story import ROOT
from local_cloud.docker_cli.environments import site_packages
from local_cloud.docker_cli.prime import environment_of

from .notebook import PlayedNotebook, kernel_environment, play

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def exploration(tmp_path_factory: pytest.TempPathFactory) -> PlayedNotebook:
    work = tmp_path_factory.mktemp("exploration")
    for name in ("notebooks", "model-code", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__", "data", ".*")
        shutil.copytree(ROOT / name, work / name, ignore=ignored)
    index = {"TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}
    container = environment_of(ROOT / "model-code/Dockerfile", "train", index)
    environment = kernel_environment(
        work,
        PYTHONPATH=str(site_packages(container)),
        OMP_NUM_THREADS="1",  # others share this machine
    )
    return play(work / "notebooks/Predict_ethnicity.ipynb", environment)


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

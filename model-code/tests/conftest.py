"""Where the program and the helpers are, and one small job that the tests share."""

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

HERE = Path(__file__).resolve().parent
set_hypothesis_home_dir(tempfile.mkdtemp())  # nothing is left beside the program
settings.register_profile("here", deadline=None)  # a stalled machine is no failure
settings.load_profile("here")
sys.path[:0] = [str(HERE), str(HERE.parent)]

from ethnicity_prediction import export  # noqa: E402
from ethnicity_prediction.paths import Paths  # noqa: E402
from ethnicity_prediction.predictor import Predictor  # noqa: E402
from tiny import prepare  # noqa: E402


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a job that ran: input, model, checkpoints."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # so small a network only loses by sharing work
    from ethnicity_prediction import job

    root = tmp_path_factory.mktemp("ml")
    prepare(root, train=90, validation=30)
    job.run(Paths(root), {"TRAINING_JOB_NAME": "tiny-1"}, lambda: False)
    return root


@pytest.fixture(scope="session")
def predictor(trained: Path) -> Predictor:
    return export.load(trained / "model")

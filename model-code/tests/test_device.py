"""The graphics card: what can be said without one, and a training where there is one."""

import math

import numpy as np
import pytest
from tiny import TINY, WORDS, draw

torch = pytest.importorskip("torch")

from ethnicity_prediction import checkpoint, device  # noqa: E402
from ethnicity_prediction.config import parse  # noqa: E402
from ethnicity_prediction.fit import Fit, Part  # noqa: E402
from ethnicity_prediction.model import Network  # noqa: E402

CPU = torch.device("cpu")


@pytest.mark.parametrize("itself", [True, False])
def test_bfloat16_is_used_where_the_card_itself_has_it(monkeypatch, itself):
    def supported(including_emulation=True):
        return including_emulation or itself  # as torch answers of an A10 and of a T4

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert device.has_bf16(torch.device("cuda")) is itself


def test_on_a_cpu_nothing_is_copied():
    array = np.arange(6, dtype=np.uint8)
    assert device.to_device(array, CPU).data_ptr() == array.ctypes.data


def test_a_copy_to_a_card_is_pinned_and_does_not_wait(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda t: calls.append("pin") or t)
    monkeypatch.setattr(torch.Tensor, "to", lambda t, *a, **k: calls.append((a, k)) or t)
    device.to_device(np.zeros(2, np.uint8), torch.device("cuda"))
    assert calls == ["pin", ((torch.device("cuda"),), {"non_blocking": True})]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("muon_rate", ["0", "0.02"])
def test_a_card_learns_and_goes_on_from_a_checkpoint(tmp_path, muon_rate):
    config = parse(TINY | {"muon_learning_rate": muon_rate, "augment": "0.5", "small_share": "0.4"})
    images = np.stack([image for _, image in draw(90)])[..., None]
    codes = np.array([WORDS.index(label) for label, _ in draw(90)])
    part, prior = Part(images, codes), np.full(len(WORDS), 1 / len(WORDS))
    seen = []

    def fit() -> Fit:
        torch.manual_seed(0)
        network = Network(len(WORDS), 1, config.width, config.dropout)
        return Fit(network, config, prior, budget_s=math.inf, device=torch.device("cuda"))

    def keep(epoch, progress):
        seen.append(epoch)
        checkpoint.save(tmp_path, progress, "same")

    fit().run(part, part, on_epoch=keep, should_stop=lambda: len(seen) >= 2)
    resumed = checkpoint.load(checkpoint.read(tmp_path), "same")
    progress = fit().run(part, part, resume=resumed)
    assert [epoch.epoch for epoch in progress.history[:2]] == [1, 2]
    assert progress.best_recall >= 0.9

"""Fitting, interrupting, resuming, exporting; needs PyTorch."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, WORDS, draw, prepare, write_pixel_csv

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # so small a network only loses by sharing work

from ethnicity_prediction import checkpoint, export, job  # noqa: E402
from ethnicity_prediction.augment import augment  # noqa: E402
from ethnicity_prediction.config import parse  # noqa: E402
from ethnicity_prediction.convert import to_onnx  # noqa: E402
from ethnicity_prediction.errors import MalformedError  # noqa: E402
from ethnicity_prediction.fit import Fit, Part  # noqa: E402
from ethnicity_prediction.images import InputSpec  # noqa: E402
from ethnicity_prediction.model import Classifier, Network, normalise  # noqa: E402
from ethnicity_prediction.paths import Paths  # noqa: E402
from ethnicity_prediction.program import program_digest  # noqa: E402
from ethnicity_prediction.progress import detached  # noqa: E402
from ethnicity_prediction.threads import PERIOD, ThreadTrial  # noqa: E402

CONFIG = parse(TINY)


def part(rows: int, seed: int = 0) -> Part:
    drawn = draw(rows, seed)
    images = np.stack([image for _, image in drawn])[..., None]
    return Part(images, np.array([WORDS.index(label) for label, _ in drawn]))


def fresh_fit(config=CONFIG, budget_s=math.inf, clock=None) -> Fit:
    torch.manual_seed(0)
    network = Network(len(WORDS), 1, config.width, config.dropout)
    prior = np.full(len(WORDS), 1 / len(WORDS))
    options = {"clock": clock} if clock else {}
    return Fit(network, config, prior, budget_s=budget_s, device=torch.device("cpu"), **options)


def test_the_artifact_predicts_what_was_learnt(trained: Path):
    predictor = export.load(trained / "model")
    fresh = part(30, seed=2)
    assert (predictor.predict(fresh.images).argmax(1) == fresh.codes).mean() > 0.9


def test_the_card_tells_labels_metrics_and_origin(trained: Path):
    card = json.loads((trained / "model/model.json").read_text())
    assert (card["name"], card["version"]) == ("ethnicity-prediction", "tiny-1")
    assert card["labels"] == card["label_values"] == list(WORDS)
    assert card["sensitive"] is True
    assert (card["image_size"], card["channels"]) == (48, 1)
    assert card["metrics"]["rows"] == dict.fromkeys(WORDS, 10)
    assert set(card["metrics"]["recall"]) == set(WORDS)
    assert 0 <= card["metrics"]["calibration_error"] < 0.2
    assert set(card["training"]["operating_point"]) == {"tau", "temperature"}
    assert card["data"]["rows"] == 90
    assert card["data"]["digest"].startswith("sha256:")
    assert card["training"]["hyperparameters"]["width"] == 4
    names = sorted(path.name for path in (trained / "model").iterdir())
    assert names == [
        "model.json",
        "model.onnx",
        "report.html",
        "report.json",
        "weights.safetensors",
    ]


@pytest.mark.parametrize("views", [1, 2, 3, 4])
def test_probabilities_are_of_the_network_that_was_trained(views: int):
    network = Network(3, 3, 4, 0.2).eval()
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    card = {"label_values": WORDS, "labels": WORDS, "sensitive": False}
    card |= {"image_size": 64, "channels": 3}
    offset = torch.tensor([0.3, 0.0, -0.2])
    model = Classifier(network, views, offset, temperature=1.4).eval()
    served = export.Predictor(to_onnx(model, InputSpec(64, 3)), card).predict(images)
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    assert np.allclose(served, expected, atol=1e-5)
    assert np.allclose(served.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("views", [2, 4])
def test_an_image_and_its_mirror_image_are_told_alike_by_views_in_pairs(views: int):
    images = torch.randint(0, 256, (4, 48, 48, 1), dtype=torch.uint8)
    network = Network(3, 1, 4, 0.2).eval()
    with torch.no_grad():
        one, paired = (Classifier(network, count) for count in (1, views))
        assert torch.allclose(paired(images), paired(images.flip(2)), atol=1e-6)
        assert not torch.allclose(one(images), one(images.flip(2)), atol=1e-6)


def test_an_answer_is_the_mean_of_those_about_each_view():
    images = torch.randint(0, 256, (4, 96, 96, 3), dtype=torch.uint8)
    network = Network(3, 3, 4, 0.2).eval()
    x = normalise(images)
    # at 96, two pixels of each border are left out
    near = torch.nn.functional.interpolate(x[:, :, 2:94, 2:94], (96, 96), mode="bilinear")
    with torch.no_grad():
        seen = [network(view).softmax(1) for view in (x, x.flip(3), near, near.flip(3))]
        for views in (1, 2, 3, 4):
            mean = sum(seen[:views]) / views
            assert torch.allclose(Classifier(network, views)(images), mean, atol=1e-6)
    assert not torch.allclose(seen[0], seen[2], atol=1e-6)


def test_the_operating_point_turns_towards_the_rare_label():
    network = Network(2, 1, 4, 0.0).eval()
    images = torch.randint(0, 256, (4, 48, 48, 1), dtype=torch.uint8)
    offset = 0.5 * torch.log(torch.tensor([0.9, 0.1]))
    with torch.no_grad():
        plain, shifted = Classifier(network)(images), Classifier(network, 1, offset)(images)
    assert (shifted[:, 1] > plain[:, 1]).all()


def test_without_a_validation_channel_a_part_is_held_out(tmp_path: Path):
    prepare(tmp_path, train=40, validation=0, epochs="1")
    job.run(Paths(tmp_path), {}, lambda: False)
    card = json.loads((tmp_path / "model/model.json").read_text())
    assert sum(card["metrics"]["rows"].values()) + card["data"]["rows"] == 40
    assert card["version"] == "unnamed"


def test_a_group_left_out_of_training_shows_as_recall_zero(tmp_path: Path):
    prepare(tmp_path, train=6, validation=30, epochs="1")
    write_pixel_csv(tmp_path / "input/data/train/train.csv", draw(40, words=WORDS[:2]))
    job.run(Paths(tmp_path), {}, lambda: False)
    card = json.loads((tmp_path / "model/model.json").read_text())
    assert card["labels"] == ["bars", "beams"]
    assert card["metrics"]["recall"]["flat"] == 0
    assert card["metrics"]["rows"]["flat"] == 10


def test_names_and_sensitivity_come_from_the_data(tmp_path: Path):
    prepare(tmp_path, train=24, validation=0, epochs="1")
    naming = {"names": {"bars": "Upright"}, "sensitive": False}
    (tmp_path / "input/data/train/labels.json").write_text(json.dumps(naming))
    job.run(Paths(tmp_path), {}, lambda: False)
    card = json.loads((tmp_path / "model/model.json").read_text())
    assert card["labels"] == ["Upright", "beams", "flat"]
    assert card["sensitive"] is False
    assert "Upright" in card["metrics"]["recall"]


def test_one_label_is_nothing_to_learn(tmp_path: Path):
    prepare(tmp_path, train=6, validation=0)
    write_pixel_csv(tmp_path / "input/data/train/train.csv", draw(6, words=("flat",)))
    with pytest.raises(MalformedError, match="one label only: flat"):
        job.run(Paths(tmp_path), {}, lambda: False)


def test_asked_to_stop_it_keeps_the_best_so_far():
    seen = []
    fit = fresh_fit(parse(TINY | {"epochs": "50", "patience": "50"}))
    progress = fit.run(
        part(48),
        part(12, seed=1),
        should_stop=lambda: len(seen) >= 2,
        on_epoch=lambda epoch, _: seen.append(epoch.validation_macro_recall),
    )
    assert len(progress.history) == 2
    assert progress.best_recall == max(seen)


def test_a_training_that_diverges_says_so():
    broken = fresh_fit()
    with torch.no_grad():
        next(broken.net.parameters()).fill_(float("inf"))
    with pytest.raises(
        FloatingPointError, match=r"loss is nan in epoch 1: .* learning_rate \(0.01\)"
    ):
        broken.run(part(32), part(6))


def test_stopped_before_the_first_step_there_is_no_model(tmp_path: Path):
    prepare(tmp_path, train=24, validation=0)
    with pytest.raises(InterruptedError, match="before the first step"):
        job.run(Paths(tmp_path), {}, lambda: True)
    assert not (tmp_path / "model").exists()


def test_the_time_given_is_kept():
    now = iter(range(10_000))
    fit = fresh_fit(parse(TINY | {"epochs": "1000"}), budget_s=60, clock=lambda: next(now))
    progress = fit.run(part(32), part(6))
    assert 0 < progress.step < 60


def etas(budget_s=math.inf, **given) -> list[float]:
    """Told after each epoch, where each step takes a second for an image of 48 x 48."""
    now, told = [0.0], []
    fit = fresh_fit(parse(TINY | given), budget_s, clock=lambda: now[0])
    step = fit._step

    def slow(model, train, rows, epoch, generator, side):
        now[0] += (side / 48) ** 2
        return step(model, train, rows, epoch, generator, side)

    fit._step = slow
    fit.run(part(32), part(6), on_epoch=lambda _, progress: told.append(progress.eta_s))
    return told


def test_it_tells_how_long_it_will_take():
    assert etas(epochs="3") == pytest.approx([4, 2, 0])
    assert etas(epochs="100", patience="100", budget_s=6) == pytest.approx([4, 2, 0])


def test_epochs_on_small_images_are_known_to_take_less():
    small = (32 / 48) ** 2
    expected = [2 * small + 4, 4, 2, 0]
    assert etas(epochs="4", small_share="0.5") == pytest.approx(expected)


def test_every_epoch_is_a_line_of_metrics(tmp_path: Path, caplog):
    prepare(tmp_path, train=24, validation=0, epochs="2")
    caplog.set_level("INFO", "train")
    job.run(Paths(tmp_path), {}, lambda: False)
    lines = [record.message for record in caplog.records if record.message.startswith("epoch=")]
    metrics = [dict(pair.split("=") for pair in line.split()) for line in lines]
    assert [float(found["epoch"]) for found in metrics] == [1, 2]
    for found in metrics:
        assert list(found)[1:] == [
            *("train_loss", "validation_accuracy", "validation_macro_recall"),
            *("images_per_s", "elapsed_s", "eta_s"),
        ]
        assert all(re.fullmatch(r"[0-9.eE+-]+", number) for number in found.values())
    assert float(metrics[-1]["eta_s"]) == 0


@pytest.mark.parametrize("muon_rate", ["0", "0.02"])
def test_a_restarted_job_goes_on_where_it_was(tmp_path: Path, muon_rate: str):
    config = parse(TINY | {"epochs": "4", "muon_learning_rate": muon_rate, "small_share": "0.4"})
    train, validation = part(48), part(12, seed=1)
    whole = fresh_fit(config).run(train, validation)

    def keep(epoch, progress):
        if epoch.epoch == 2:
            checkpoint.save(tmp_path, progress, "same")

    stopped = []
    fresh_fit(config).run(
        train,
        validation,
        on_epoch=lambda e, p: (keep(e, p), stopped.append(e)),
        should_stop=lambda: len(stopped) >= 2,
    )
    resumed = checkpoint.load(checkpoint.read(tmp_path), "same")
    assert [e.epoch for e in resumed.history] == [1, 2]
    finished = fresh_fit(config).run(train, validation, resume=resumed)
    assert [e.epoch for e in finished.history] == [e.epoch for e in whole.history]
    for name, value in whole.weights.items():
        assert torch.allclose(finished.weights[name].float(), value.float(), atol=1e-5), name


def test_a_checkpoint_of_another_job_is_not_taken(trained: Path):
    assert (trained / "checkpoints" / checkpoint.FILE).exists()
    assert checkpoint.load(checkpoint.read(trained / "checkpoints"), "another") is None
    assert checkpoint.load(checkpoint.read(trained / "none"), "another") is None


@pytest.mark.parametrize(
    ("changed", "resumed"), [({"views": "4", "least_recall": "0.5"}, True), ({"seed": "7"}, False)]
)
def test_a_finished_training_is_judged_anew_without_fitting(tmp_path, caplog, changed, resumed):
    prepare(tmp_path, train=60, validation=30, epochs="2")
    job.run(Paths(tmp_path), {}, lambda: False)
    card = json.loads((tmp_path / "model/model.json").read_text())
    prepare(tmp_path, train=60, validation=30, epochs="2", **changed)
    caplog.clear()
    caplog.set_level("INFO", "train")
    job.run(Paths(tmp_path), {}, lambda: False)
    again = json.loads((tmp_path / "model/model.json").read_text())
    assert ("resumed epoch=2" in caplog.text) is resumed
    assert ("train_loss" in caplog.text) is not resumed
    assert ("another job or program: not taken" in caplog.text) is not resumed
    assert (again["training"]["epochs"] == card["training"]["epochs"]) is resumed


def test_a_checkpoint_of_another_program_is_not_taken(tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO", "train")
    prepare(tmp_path, train=24, validation=0, epochs="1")
    job.run(Paths(tmp_path), {}, lambda: False)
    monkeypatch.setattr(job, "program_digest", lambda: "another")
    job.run(Paths(tmp_path), {}, lambda: False)
    assert "resumed" not in caplog.text
    assert caplog.text.count("epoch=1 train_loss=") == 2


def test_a_program_is_told_by_the_names_and_texts_of_its_modules(tmp_path):
    folders = [tmp_path / name for name in ("one", "same", "renamed", "changed")]
    for folder, name, text in zip(folders, "aaba", ("1", "1", "1", "2"), strict=True):
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
    one, same, *others = map(program_digest, folders)
    assert one == same
    assert len({one, *others, program_digest()}) == 4


def test_a_checkpoint_holds_no_pickle(trained: Path):
    with np.load(trained / "checkpoints" / checkpoint.FILE, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_rare_labels_weigh_more_when_balanced():
    config = parse(TINY | {"balance": "1"})
    network = Network(2, 1, 4, 0.0)
    fit = Fit(network, config, np.array([0.9, 0.1]), budget_s=1, device=torch.device("cpu"))
    assert fit.objective.adjustment[0] > fit.objective.adjustment[1]


@pytest.mark.parametrize("steps", [100, 600])
@torch.no_grad()
def test_the_average_spans_the_same_share_of_a_training_of_any_length(steps):
    """Of weights that grow by one a step it is a / (a + 1) of the last, where a is 1 / share."""
    fit = fresh_fit(parse(TINY | {"ema_share": "0.25"}))
    for step in range(1, steps + 1):
        for weight in fit.net.parameters():
            weight.fill_(step)
        fit._average(step)
    average = next(fit.averaged.parameters()).mean() / steps
    assert float(average) == pytest.approx(0.8, abs=0.01)


def test_views_differ_but_stay_images():
    images = torch.rand(8, 3, 48, 48) * 2 - 1
    mirrored = torch.arange(8) % 2 == 0
    views = augment(images, mirrored, 1.0, torch.Generator().manual_seed(0), 48)
    assert views.shape == images.shape
    assert views.min() >= -1
    assert views.max() <= 1
    assert not torch.equal(views, images)
    assert torch.equal(augment(images, mirrored, 0.0, torch.Generator(), 48), images)


def test_views_can_be_smaller():
    images = torch.rand(8, 3, 48, 48) * 2 - 1
    for strength in (0.0, 1.0):
        nothing = torch.zeros(8, dtype=torch.bool)
        views = augment(images, nothing, strength, torch.Generator().manual_seed(0), side=32)
        assert views.shape == (8, 3, 32, 32)


def test_what_is_to_be_mirrored_is_and_nothing_else():
    images = torch.rand(2, 1, 48, 48) * 2 - 1
    views = augment(images, torch.tensor([True, False]), 1e-6, torch.Generator().manual_seed(0), 48)
    assert torch.allclose(views, torch.stack([images[0].flip(2), images[1]]), atol=1e-3)


def test_an_image_is_mirrored_every_other_epoch():
    fit = fresh_fit(parse(TINY | {"epochs": "1"}))
    fit.run(part(40), part(6))
    rows = np.arange(40)
    first, second, third = (fit._mirrored(rows, epoch) for epoch in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert 5 < first.sum() < 35


@pytest.mark.parametrize(("share", "sides"), [(0.6, [32, 32, 48, 48]), (0.75, [32, 32, 32, 48])])
def test_an_epoch_is_measured_on_images_as_large_as_it_learnt_from_last(monkeypatch, share, sides):
    asked = []
    fit = fresh_fit(parse(TINY | {"epochs": "4", "small_share": str(share)}))
    monkeypatch.setattr(fit, "predict", lambda images, side: asked.append(side) or np.zeros(6, int))
    progress = fit.run(part(64), part(6))
    assert asked == [epoch.side for epoch in progress.history] == sides


def run_with_recalls(recalls: dict[int, list[float]], should_stop=lambda: False, **given):
    """The progress of a training whose epochs on images of a side have these macro recalls."""
    left = {side: iter(values) for side, values in recalls.items()}
    truth = np.repeat([0, 1], 10)

    def predict(images, side):
        right = round(20 * next(left[side]))
        return np.where(np.arange(20) < right, truth, 1 - truth)

    fit = fresh_fit(parse(TINY | {"epochs": "8", "small_share": "0.5"} | given))
    fit.predict, kept = predict, []
    progress = fit.run(
        part(32),
        Part(part(20).images, truth),
        should_stop=should_stop,
        on_epoch=lambda _, p: kept.append(detached(p.averaged)),
    )
    return progress, kept


def test_a_good_epoch_on_small_images_is_no_rival_of_those_on_whole_ones():
    progress, kept = run_with_recalls({32: [0.8, 1.0, 0.9, 0.8], 48: [0.5, 0.7, 0.6, 0.65]})
    assert (progress.best_epoch.epoch, progress.best_recall) == (6, 0.7)
    assert all(torch.equal(value, kept[5][name]) for name, value in progress.best.items())


@pytest.mark.parametrize("recall", [0.6, 1.0])
def test_patience_begins_with_whole_images(recall):
    recalls = {32: [recall] * 4, 48: [0.6, 0.5, 0.5, 0.5]}
    progress, _ = run_with_recalls(recalls, patience="2")
    assert [epoch.side for epoch in progress.history] == [32] * 4 + [48] * 3


def test_a_training_that_is_stopped_on_small_images_has_a_model():
    calls = iter(range(100))
    progress, kept = run_with_recalls({32: [0.9, 0.8, 0.7]}, lambda: next(calls) >= 5)
    assert [epoch.side for epoch in progress.history] == [32] * 3
    assert progress.best_epoch.epoch == 1
    assert all(torch.equal(value, kept[0][name]) for name, value in progress.best.items())


def test_images_are_small_for_the_first_share_of_the_training():
    fit = fresh_fit(parse(TINY | {"small_share": "0.4"}))
    fit.whole = 48
    assert [fit._side(done) for done in (0.0, 0.39, 0.4, 1.0)] == [32, 32, 48, 48]


@pytest.mark.parametrize(("seconds_of_two", "kept"), [(0.5, 2), (0.9, 1), (3.0, 1)])
def test_threads_are_kept_only_where_they_pay(monkeypatch, seconds_of_two, kept):
    taken, left = threads_taken(monkeypatch, [seconds_of_two] * (3 * PERIOD))
    assert taken == tried(kept, PERIOD) + tried(kept, 2 * PERIOD)
    assert left == 2


def test_threads_are_tried_seldom_while_nothing_changes_and_often_when_it_does(monkeypatch):
    calm, busy = 3 * PERIOD, 3 * PERIOD
    taken, _ = threads_taken(monkeypatch, [0.5] * calm + [3.0] * busy)
    assert taken[:calm] == tried(2, PERIOD) + tried(2, 2 * PERIOD)
    assert taken[calm:] == tried(1, PERIOD) + tried(1, 2 * PERIOD)


def tried(kept: int, period: int) -> list[int]:
    return [2, 2, 1, 1] + [kept] * (period - 4)


def threads_taken(monkeypatch, seconds_of_two: list[float]) -> tuple[list[int], int]:
    """The threads of each step, where one thread takes a second, and those left at the end."""
    used, now, taken = [2], [0.0], []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    trial = ThreadTrial(clock=lambda: now[0])
    for seconds in seconds_of_two:
        trial.before()
        taken.append(used[-1])
        now[0] += seconds if used[-1] == 2 else 1.0
        trial.after()
    trial.end()
    return taken, used[-1]

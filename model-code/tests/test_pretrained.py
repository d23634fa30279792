"""Going on from an earlier training: what is taken, what is new, and what is refused."""

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ethnicity_prediction import weights
from ethnicity_prediction.errors import MalformedError
from tiny import WORDS, draw, prepare, write_pixel_csv

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # so small a network only loses by sharing work

from ethnicity_prediction import job  # noqa: E402
from ethnicity_prediction.model import Network  # noqa: E402
from ethnicity_prediction.paths import Paths  # noqa: E402
from ethnicity_prediction.pretrained import begin_with, read_pretrained  # noqa: E402

FILES = ("model.json", "weights.safetensors")


@pytest.fixture
def channel(trained: Path, tmp_path: Path) -> Path:
    """The channel pretrained of a job, with an earlier job's files."""
    folder = tmp_path / "input/data/pretrained"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes((trained / "model" / name).read_bytes())
    return folder


def network(labels: int = 3, width: int = 4) -> Network:
    torch.manual_seed(1)
    return Network(labels, 1, width, 0.2)


def tensors(net: Network) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def test_numbers_come_back_as_they_were():
    arrays = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.float16([1.5, -2]),
        "count": np.array(7, dtype=np.int64),
        "none": np.zeros((0, 4), np.float32),
    }
    read = weights.from_bytes(weights.to_bytes(arrays))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(read[name], array)


def test_a_file_by_others_is_read():
    header = (
        b'{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    )
    data = struct.pack("<Q", len(header)) + header + np.float32([1, 2]).tobytes()
    assert weights.from_bytes(data)["w"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "about",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        [],
    ],
)
def test_a_header_that_lies_is_refused(about):
    header = json.dumps({"w": about}).encode()
    with pytest.raises(MalformedError, match="not a safetensors file"):
        weights.from_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 64, b"PK\x03\x04" + bytes(60)])
def test_other_bytes_are_refused(data):
    with pytest.raises(MalformedError, match="not a safetensors file"):
        weights.from_bytes(data)


def test_with_the_same_labels_all_is_taken(channel):
    net, given = network(), read_pretrained(channel)
    begin_with(net, given, WORDS)
    assert all(np.array_equal(value, given.weights[name]) for name, value in tensors(net).items())


def test_with_other_labels_the_last_layer_is_new(channel):
    net, given = network(labels=4), read_pretrained(channel)
    before = tensors(net)
    begin_with(net, given, [*WORDS, "rings"])
    for name, value in tensors(net).items():
        kept = before if name.startswith("head.") else given.weights
        assert np.array_equal(value, kept[name]), name


@pytest.mark.parametrize(("labels", "head"), [(2, "new"), (3, "kept"), (4, "new")])
def test_bare_weights_are_taken_with_the_last_layer_where_it_fits(channel, labels, head, caplog):
    caplog.set_level("INFO", "train")
    (channel / "model.json").unlink()
    net, given = network(labels), read_pretrained(channel)
    before = tensors(net)
    begin_with(net, given, ["a", "b", "c", "d"][:labels])
    for name, value in tensors(net).items():
        kept = before if name.startswith("head.") and head == "new" else given.weights
        assert np.array_equal(value, kept[name]), name
    assert given.origin["version"] == "unnamed"
    assert f"head={head}" in caplog.text


def test_bare_weights_of_another_network_are_refused(channel):
    (channel / "model.json").unlink()
    told = r"features\.0\.weight is \(4, 1, 5, 5\) there .* hyperparameters width and channels"
    with pytest.raises(MalformedError, match=told):
        begin_with(network(width=8), read_pretrained(channel), WORDS)
    (channel / "weights.safetensors").write_bytes(weights.to_bytes({"conv1": np.zeros(3)}))
    with pytest.raises(MalformedError, match=r"features\.0\.weight is none there"):
        begin_with(network(), read_pretrained(channel), WORDS)


def test_the_archive_is_read_as_sagemaker_leaves_it(channel):
    loose = read_pretrained(channel)
    with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
        for name in FILES:
            tar.add(channel / name, f"./{name}")
            (channel / name).unlink()
    packed = read_pretrained(channel)
    assert (packed.card, packed.digest) == (loose.card, loose.digest)


def test_without_the_channel_there_is_nothing_to_begin_with(tmp_path):
    assert read_pretrained(tmp_path / "pretrained") is None


def test_another_network_is_refused_with_what_to_do(channel):
    told = r"tensors differ, features\.0\.weight is \(4, 1, 5, 5\) there and \(8, 1, 5, 5\) here"
    with pytest.raises(MalformedError, match=told + r".*'width': 4, 'channels': 1"):
        begin_with(network(width=8), read_pretrained(channel), WORDS)


def put(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def archive_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c: (c / FILES[1]).unlink(), r"lacks weights\.safetensors: give it the model\.tar"),
        (lambda c: put(c, "weights.safetensors", b"x"), "not a safetensors file"),
        (lambda c: put(c, "model.json", b"{"), "model.json is no model card"),
        (lambda c: put(c, "model.json", b"{}"), "model.json is no model card"),
        (lambda c: put(c, "model.tar.gz", b"x"), r"model\.tar\.gz cannot be read"),
        (lambda c: put(c, "model.tar.gz", archive_of("x")), r"lacks weights\.safetensors"),
    ],
)
def test_a_channel_that_cannot_be_used_is_refused_with_the_reason(channel, spoil, words):
    spoil(channel)
    with pytest.raises(MalformedError, match=words):
        read_pretrained(channel)


def first_recall(root: Path) -> float:
    """Macro recall after one epoch with so small a rate that it is the start that counts."""
    prepare(root, train=60, validation=30, epochs="1", learning_rate="0.0001")
    job.run(Paths(root), {}, lambda: False)
    card = json.loads((root / "model/model.json").read_text())
    return card["training"]["epochs"][0]["validation_macro_recall"]


def test_fine_tuning_begins_better_than_from_scratch(channel, tmp_path):
    scratch, tuned = first_recall(tmp_path / "scratch"), first_recall(tmp_path)
    assert tuned >= 0.9
    assert tuned > scratch + 0.2
    training = json.loads((tmp_path / "model/model.json").read_text())["training"]
    assert training["pretrained"]["version"] == "tiny-1"
    assert training["pretrained"]["digest"] == f"sha256:{read_pretrained(channel).digest}"
    assert "the weights of tiny-1" in (tmp_path / "model/report.html").read_text()


def test_a_checkpoint_of_another_beginning_is_not_taken(channel, tmp_path, caplog):
    prepare(tmp_path, train=60, validation=30, epochs="1")
    caplog.set_level("INFO", "train")
    job.run(Paths(tmp_path), {}, lambda: False)
    for name in FILES:
        (channel / name).unlink()
    channel.rmdir()
    job.run(Paths(tmp_path), {}, lambda: False)
    assert "resumed" not in caplog.text


def test_a_group_that_was_left_out_can_be_added(channel, tmp_path):
    words = ("bars", "beams", "flat", "noise")
    prepare(tmp_path, train=60, validation=0, epochs="1")
    rows = [
        ("noise" if word == "flat" and i % 2 else word, x) for i, (word, x) in enumerate(draw(60))
    ]
    write_pixel_csv(tmp_path / "input/data/train/train.csv", rows)
    job.run(Paths(tmp_path), {}, lambda: False)
    assert json.loads((tmp_path / "model/model.json").read_text())["labels"] == list(words)

"""Data parsed once: the cache is quick to be right and never wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ethnicity_prediction import cache, channel
from ethnicity_prediction.channel import read_channel
from ethnicity_prediction.errors import OutOfRangeError
from ethnicity_prediction.images import InputSpec
from ethnicity_prediction.paths import Paths
from PIL import Image
from tiny import draw, write_pixel_csv

SPEC = InputSpec()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pixel_csv(tmp_path / "train/train.csv", draw(5))
    return tmp_path / "train"


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The channels that were parsed, in order."""
    seen: list[str] = []

    def noted(folder, spec):
        seen.append(folder.name)
        return read_channel(folder, spec)

    monkeypatch.setattr(cache, "read_channel", noted)
    return seen


def same(one: channel.Dataset, other: channel.Dataset) -> bool:
    facts = [(d.values, d.digest, dict(d.groups)) for d in (one, other)]
    return facts[0] == facts[1] and np.array_equal(one.images, other.images)


def test_the_second_reading_parses_nothing_and_gives_the_same(data, tmp_path, parses):
    first, second = (cache.read(data, SPEC, tmp_path / "cache") for _ in range(2))
    assert parses == ["train"]
    assert same(first, second)
    assert same(second, read_channel(data, SPEC))


def test_without_a_cache_folder_nothing_is_written(data, tmp_path):
    assert same(cache.read(data, SPEC, None), read_channel(data, SPEC))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["train", "train.csv"]


def test_an_entry_is_memory_mapped_and_writing_to_it_stays_private(data, tmp_path, parses):
    for _ in range(2):
        images = cache.read(data, SPEC, tmp_path / "cache").images
        images[:] = 0
    assert cache.read(data, SPEC, tmp_path / "cache").images.any()
    assert parses == ["train"]


def test_other_data_under_the_same_name_size_and_date_is_read_anew(data, tmp_path, parses):
    file = data / "train.csv"
    cache.read(data, SPEC, tmp_path / "cache")
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"flat", b"bars"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert "flat" not in cache.read(data, SPEC, tmp_path / "cache").values
    assert parses == ["train", "train"]


def test_a_changed_picture_of_an_image_folder_is_seen(tmp_path, parses):
    folder = tmp_path / "faces"
    folder.mkdir()
    (folder / "labels.csv").write_text("file,label,age\na.png,x,\nb.png,y,31\n")
    for name in "ab":
        Image.new("L", (48, 48), 7).save(folder / f"{name}.png")
    assert cache.read(folder, SPEC, tmp_path / "cache").groups["age"] == ["", "31"]
    Image.new("L", (48, 48), 8).save(folder / "b.png")
    again = cache.read(folder, SPEC, tmp_path / "cache")
    assert (again.images.min(), again.images.max()) == (7, 8)
    assert same(cache.read(folder, SPEC, tmp_path / "cache"), again)
    assert parses == ["faces", "faces"]


def test_another_size_of_image_is_another_entry(data, tmp_path, parses):
    small, large = (cache.read(data, spec, tmp_path / "cache") for spec in (SPEC, InputSpec(64, 3)))
    assert (small.images.shape, large.images.shape) == ((5, 48, 48, 1), (5, 64, 64, 3))
    assert parses == ["train", "train"]


def test_another_program_makes_its_own_entry(data, tmp_path, parses, monkeypatch):
    cache.read(data, SPEC, tmp_path / "cache")
    monkeypatch.setattr(cache.PIL, "__version__", "0")
    cache.read(data, SPEC, tmp_path / "cache")
    assert parses == ["train", "train"]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a pixel": lambda entry: flip(entry.with_suffix(".npy"), -1),
    "the shape": lambda entry: flip(entry.with_suffix(".npy"), 70),
    "half the pixels": lambda entry: os.truncate(entry.with_suffix(".npy"), 4000),
    "all pixels": lambda entry: entry.with_suffix(".npy").write_bytes(b""),
    "no pixels": lambda entry: entry.with_suffix(".npy").unlink(),
    "a label": lambda entry: entry.with_suffix(".json").write_text(
        entry.with_suffix(".json").read_text().replace("flat", "bars")
    ),
    "no JSON": lambda entry: entry.with_suffix(".json").write_text("{"),
    "other JSON": lambda entry: entry.with_suffix(".json").write_text("[]"),
    "a key only": lambda entry: entry.with_suffix(".json").write_text(
        json.dumps({"key": json.loads(entry.with_suffix(".json").read_text())["key"]})
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_made_anew(data, tmp_path, parses, damage):
    whole = cache.read(data, SPEC, tmp_path / "cache")
    damage(tmp_path / "cache/train")
    for _ in range(2):
        assert same(cache.read(data, SPEC, tmp_path / "cache"), whole)
    assert parses == ["train", "train"]


def test_a_cache_that_cannot_be_written_is_done_without(data, tmp_path, parses, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        assert same(cache.read(data, SPEC, tmp_path / "cache"), read_channel(data, SPEC))
    assert parses == ["train", "train"]
    assert "the cache cannot be written" in caplog.text


def test_bad_data_is_refused_as_without_a_cache_and_not_kept(data, tmp_path):
    file = data / "train.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2].rsplit(" ", 1)[0] + " 300"]))
    with pytest.raises(OutOfRangeError, match=r"train\.csv: row 2: pixel 2304 is 300"):
        cache.read(data, SPEC, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_no_entry_is_a_pickle(data, tmp_path):
    cache.read(data, SPEC, tmp_path / "cache")
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert names == ["train.json", "train.npy"]
    assert np.load(tmp_path / "cache/train.npy", allow_pickle=False).dtype == np.uint8


def test_the_cache_is_where_sagemaker_keeps_a_warm_instance_s_files():
    assert Paths.from_env({}).cache is None
    variables = {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/opt/ml/sagemaker/warmpoolcache"}
    assert Paths.from_env(variables).cache == Path("/opt/ml/sagemaker/warmpoolcache")

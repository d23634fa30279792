"""UTKFace's file names, read on invented files."""

import csv
import io
import tarfile
from pathlib import Path

import pytest
from convert_utkface import Face, convert, parse_name


@pytest.mark.parametrize(
    ("name", "face"),
    [
        ("26_1_2_20170116184024662.jpg.chip.jpg", ("Asian", 26, 1)),
        ("100_0_0_20170112213500903.jpg", ("White", 100, 0)),
        ("39_1_20170116174525125.jpg.chip.jpg", None),
        ("24_0_1_.jpg", None),
        ("24_0_7_20170116220224657.jpg", None),
    ],
)
def test_a_name_says_age_gender_and_label_or_is_left_out(name, face):
    assert parse_name(name) == (face and Face(name, *face))


def test_a_tar_becomes_an_image_folder(tmp_path: Path):
    names = ["train/1_0_0_5.jpg", "train/2_1_4_5.jpg", "test/3_1_1_5.jpg", "train/9_9_5.jpg"]
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    out = tmp_path / "out"
    assert convert(tmp_path / "faces.tar", out, "train", None, None) == (2, 1)
    with (out / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["file"], r["label"], r["age"], r["gender"]) for r in rows] == [
        ("images/1_0_0_5.jpg", "White", "1", "0"),
        ("images/2_1_4_5.jpg", "Other", "2", "1"),
    ]
    assert (out / "images/2_1_4_5.jpg").read_bytes() == b"train/2_1_4_5.jpg"


def test_a_label_can_be_left_out_and_rows_sampled(tmp_path: Path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(10):
        (folder / f"{i}_0_{i % 2}_5.jpg").write_bytes(b"x")
    assert convert(folder, tmp_path / "a", None, "White", None) == (5, 5)
    assert convert(folder, tmp_path / "b", None, None, 4)[0] == 4

"""UTKFace, FairFace and Kaggle's CSV, each made up here in a few bytes."""

import csv
import io
import json
import re
import tarfile

import pytest
from convert_data import UTKFACE, main, utkface_picture
from data_parts import PARTS, Picture


def listed(out):
    """Every row of every part's labels.csv, with its part."""
    rows = []
    for part in PARTS:
        with (out / part / "labels.csv").open(newline="") as file:
            rows += [row | {"part": part} for row in csv.DictReader(file)]
    return rows


def convert(capsys, *arguments):
    """Run the command; its exit code, what it said, and what it said on stderr."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("name", "label", "more"),
    [
        ("26_1_2_20170116184024662.jpg.chip.jpg", "Asian", {"age": "26", "gender": "1"}),
        ("100_0_0_20170112213500903.jpg", "White", {"age": "100", "gender": "0"}),
        ("39_1_20170116174525125.jpg.chip.jpg", "", {}),
        ("24_0_1_.jpg", "", {}),
        ("24_0_7_20170116220224657.jpg", "", {}),
    ],
)
def test_a_name_of_utkface_says_age_gender_and_label_or_nothing(name, label, more):
    assert utkface_picture(name) == Picture(f"images/{name}", label, more)


def test_a_tar_of_utkface_becomes_parts(tmp_path, capsys):
    names = ["a/1_0_0_5.jpg", "a/2_1_4_5.jpg", "b/3_1_1_5.jpg", "a/9_9_5.jpg", "a/notes.txt"]
    with tarfile.open(tmp_path / "faces.tar.gz", "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    out = tmp_path / "out"
    code, said, _ = convert(capsys, "utkface", tmp_path / "faces.tar.gz", out, "--below", "a")
    assert code == 0
    assert "1 left out" in said
    rows = listed(out)
    assert sorted((r["file"], r["label"], r["age"], r["gender"]) for r in rows) == [
        ("images/1_0_0_5.jpg", "White", "1", "0"),
        ("images/2_1_4_5.jpg", "Other", "2", "1"),
    ]
    for row in rows:
        assert (out / row["part"] / row["file"]).read_bytes().startswith(b"a/")
    assert json.loads((out / "train/labels.json").read_text()) == {"names": {}, "sensitive": True}


def fairface(folder, val_race="Black", missing=False):
    """A FairFace of ten pictures to train with and one to test."""
    for name, rows in (
        ("train", [(n, "3-9", "Male", ("White", "East Asian")[n % 2]) for n in range(1, 11)]),
        ("val", [(1, "more than 70", "Female", val_race)]),
    ):
        (folder / name).mkdir(parents=True)
        with (folder / f"fairface_label_{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "age", "gender", "race", "service_test"])
            for n, *told in rows:
                writer.writerow([f"{name}/{n}.jpg", *told, "True"])
                (folder / name / f"{n}.jpg").write_bytes(f"{name}{n}".encode())
    if missing:
        (folder / "train/7.jpg").unlink()
    return folder


def test_fairface_keeps_its_own_test_part_and_its_words(tmp_path, capsys):
    out = tmp_path / "out"
    code, said, _ = convert(capsys, "fairface", fairface(tmp_path / "faces"), out)
    assert code == 0
    assert f"{out / 'test'}: 1 rows (Black 1)" in said
    rows = listed(out)
    assert [r for r in rows if r["part"] == "test"] == [
        {
            "file": "images/val/1.jpg",
            "label": "Black",
            "age": "more than 70",
            "gender": "Female",
            "part": "test",
        }
    ]
    assert len(rows) == 11
    assert {r["part"] for r in rows} == {"train", "validation", "test"}
    assert all((out / r["part"] / r["file"]).is_file() for r in rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val_race": "Martian"}, "val.csv: row 1: race is 'Martian', not one of White, Black"),
        ({"missing": True}, "train.csv: row 7: .*7.jpg: No such file"),
    ],
)
def test_a_wrong_row_of_fairface_is_named(tmp_path, capsys, changes, said):
    source = fairface(tmp_path / "faces", **changes)
    code, _, told = convert(capsys, "fairface", source, tmp_path / "out")
    assert code == 1
    assert re.search(said, told)


def test_kaggles_csv_becomes_parts_whose_labels_have_names(tmp_path, capsys):
    source, out = tmp_path / "age_gender.csv", tmp_path / "out"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "ethnicity", "gender", "img_name", "pixels"])
        for n in range(50):
            writer.writerow([n, n % 5, 0, f"{n}.jpg.chip.jpg", " ".join([str(n)] * 2304)])
    code, said, _ = convert(capsys, "kaggle", source, out, "--drop-label", "Black")
    assert code == 0
    assert "10 left out" in said
    naming = json.loads((out / "train/labels.json").read_text())
    assert naming == {"names": {str(n): name for n, name in enumerate(UTKFACE)}, "sensitive": True}
    with (out / "train/train.csv").open(newline="") as file:
        assert {row["ethnicity"] for row in csv.DictReader(file)} == {"0", "2", "3", "4"}


@pytest.mark.parametrize("data_set", ["utkface", "fairface", "kaggle"])
def test_a_source_that_is_not_there_is_told(tmp_path, capsys, data_set):
    code, _, told = convert(capsys, data_set, tmp_path / "nothing", tmp_path / "out")
    assert code == 1
    assert "nothing" in told
    assert "Traceback" not in told


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    code, _, told = convert(capsys, "kaggle", tmp_path / "x.csv", tmp_path)
    assert code == 1
    assert "name a folder that is not there yet" in told

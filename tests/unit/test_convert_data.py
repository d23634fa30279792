"""Public sets of faces, read from invented files."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest
from convert_data import DataError, convert, fairface, kaggle, main, utkface

HEADER = "age,ethnicity,gender,img_name,pixels"


def rows_of(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(10**9)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def pixels(first: int) -> str:
    return " ".join([str(first)] + ["7"] * 2303)


def kaggle_csv(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("26_1_2_20170116184024662.jpg.chip.jpg", ("Asian", "26", "1")),
        ("100_0_0_20170112213500903.jpg", ("White", "100", "0")),
        ("39_1_20170116174525125.jpg.chip.jpg", None),
        ("24_0_1_.jpg", None),
        ("24_0_7_20170116220224657.jpg", None),
    ],
)
def test_utkfaces_names_say_label_age_and_gender_or_are_left_out(tmp_path: Path, name, said):
    (tmp_path / name).write_bytes(b"x")
    (face,) = utkface(tmp_path)
    assert (face and (face.label, face.age, face.gender)) == said


def test_a_tar_becomes_image_folders(tmp_path: Path):
    names = [f"part/{n}_0_{n % 5}_5.jpg" for n in range(100)] + ["9_9_5.jpg"]
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    out = tmp_path / "out"
    count = convert(utkface(tmp_path / "faces.tar"), out)
    assert count["train"] + count["validation"] + count["smoketest"] == 100
    assert count["left out"] == 1
    assert count["train"] > 60
    assert count["validation"] > 5
    row = rows_of(out / "validation/labels.csv")[0]
    name = Path(row["file"]).name
    assert (out / "validation" / row["file"]).read_bytes() == f"part/{name}".encode()
    assert row["age"] == name.split("_")[0]


def test_equal_images_lie_in_one_part_whatever_the_order(tmp_path: Path):
    rows = [f"{n},{n % 5},0,{n}.jpg,{pixels(n % 120)}" for n in range(240)]
    first = convert(kaggle(kaggle_csv(tmp_path / "a.csv", rows)), tmp_path / "a", pixels=True)
    convert(kaggle(kaggle_csv(tmp_path / "b.csv", rows[::-1])), tmp_path / "b", pixels=True)
    assert first.total() == 240
    parts = {}
    for part in ("train", "validation"):
        read = rows_of(tmp_path / f"a/{part}/{part}.csv")
        again = rows_of(tmp_path / f"b/{part}/{part}.csv")
        assert {r["img_name"] for r in read} == {r["img_name"] for r in again}
        parts[part] = {r["pixels"] for r in read}
    assert not parts["train"] & parts["validation"]
    naming = json.loads((tmp_path / "a/train/labels.json").read_text())
    assert naming == {
        "names": {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Other"},
        "sensitive": True,
    }


def test_fairfaces_own_parts_are_kept(tmp_path: Path):
    for part, rows in (("train", 4), ("val", 300)):
        (tmp_path / part).mkdir()
        lines = ["file,age,gender,race,service_test"]
        for n in range(rows):
            (tmp_path / f"{part}/{n}.jpg").write_bytes(f"{part}{n}".encode())
            lines.append(f"{part}/{n}.jpg,20-29,Female,Latino_Hispanic,True")
        (tmp_path / f"fairface_label_{part}.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    count = convert(fairface(tmp_path), out)
    assert count["train"] == 4
    assert count["validation"] + count["smoketest"] == 300
    assert 0 < count["smoketest"] < 30
    row = rows_of(out / "train/labels.csv")[0]
    assert row == {
        "file": "images/train-0.jpg",
        "label": "Latino_Hispanic",
        "age": "20-29",
        "gender": "Female",
    }
    assert (out / "train/images/train-0.jpg").read_bytes() == b"train0"


def test_a_label_can_be_left_out_and_a_share_taken(tmp_path: Path):
    for n in range(200):
        (tmp_path / f"{n}_0_{n % 2}_5.jpg").write_bytes(str(n).encode())
    without = convert(utkface(tmp_path), tmp_path / "a", drop="White", whole=True)
    assert without == {"data": 100}
    assert {row["label"] for row in rows_of(tmp_path / "a/labels.csv")} == {"Black"}
    some = convert(utkface(tmp_path), tmp_path / "b", share=0.3, whole=True)
    assert 30 < some["data"] < 90


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (f"1,0,0,a.jpg,{pixels(300)}", r"row 2: a pixel is '300'; it takes 2304 numbers"),
        ("1,0,0,a.jpg,7 7 7", "row 2: there are 3 pixels"),
        (f"1,9,0,a.jpg,{pixels(3)}", "row 2: ethnicity is '9'; it must be 0 to 4"),
        ("1,0", "row 2 is cut short"),
    ],
)
def test_a_row_that_training_would_refuse_is_named(tmp_path: Path, row, told):
    source = kaggle_csv(tmp_path / "a.csv", [f"1,0,0,a.jpg,{pixels(3)}", row])
    with pytest.raises(DataError, match=told):
        list(kaggle(source))


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_text("age,pixels\n")
    with pytest.raises(DataError, match="ethnicity, gender, img_name is missing"):
        list(kaggle(tmp_path / "a.csv"))
    with pytest.raises(DataError, match=r"fairface_label_train\.csv is not there"):
        list(fairface(tmp_path))
    with pytest.raises(DataError, match="neither a folder nor a tar"):
        list(utkface(tmp_path / "a.csv"))
    monkeypatch.setattr("sys.argv", ["convert_data.py", "kaggle", "nowhere.csv", str(tmp_path)])
    assert main() == 1
    assert "nowhere.csv is not there" in capsys.readouterr().err

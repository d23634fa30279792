"""Dealing pictures into parts: the same picture in one part only, each label alike in all."""

import csv
from collections import Counter

import pytest
from data_parts import PARTS, SHARES, Choice, DataError, Picture, deal, deal_images, deal_pixels
from hypothesis import given
from hypothesis import strategies as st

examples = st.lists(st.tuples(st.sampled_from("ab"), st.binary(min_size=1, max_size=2)))


def dealt(rows, shares=SHARES, seed=0):
    return deal([label for label, _ in rows], [digest for _, digest in rows], shares, seed)


def write_csv(path, rows):
    """Rows are (ethnicity, pixels)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "ethnicity", "gender", "img_name", "pixels"])
        for number, (label, pixels) in enumerate(rows):
            writer.writerow([30, label, 1, f"{number}.jpg", pixels])
    return path


def shade(value):
    return " ".join([str(value)] * 2304)


def rows_of(out):
    """Part → rows of its pixel CSV."""
    found = {}
    for part in PARTS:
        with (out / part / f"{part}.csv").open(newline="") as file:
            found[part] = list(csv.DictReader(file))
    return found


@given(examples, st.integers(0, 3))
def test_equal_bytes_are_in_one_part_whatever_their_labels(rows, seed):
    parts = dealt(rows, seed=seed)
    assert len(parts) == len(rows)
    assert len({(digest, part) for (_, digest), part in zip(rows, parts, strict=True)}) == len(
        {digest for _, digest in rows}
    )


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 300)), st.integers(0, 3))
def test_every_label_has_its_share_of_every_part(sizes, seed):
    rows = [(label, f"{label}{n}".encode()) for label, size in sizes.items() for n in range(size)]
    counts = Counter(zip([label for label, _ in rows], dealt(rows, seed=seed), strict=True))
    for label, size in sizes.items():
        for part, share in SHARES.items():
            assert abs(counts[label, part] - share * size) <= 1


def test_the_order_of_the_source_does_not_matter_and_the_seed_does():
    rows = [("a", bytes([n])) for n in range(100)]
    forwards = dict(zip(rows, dealt(rows), strict=True))
    backwards = dict(zip(reversed(rows), dealt(rows[::-1]), strict=True))
    assert forwards == backwards
    assert forwards != dict(zip(rows, dealt(rows, seed=1), strict=True))


def test_a_pixel_csv_loses_no_row_and_no_column(tmp_path):
    rows = [(str(n % 2), shade(n)) for n in range(60)] * 2
    source = write_csv(tmp_path / "all.csv", rows)
    told = deal_pixels(source, tmp_path / "out")
    parts = rows_of(tmp_path / "out")
    with source.open(newline="") as file:
        whole = list(csv.DictReader(file))
    dealt_rows = [row for rows in parts.values() for row in rows]
    assert sorted(dealt_rows, key=str) == sorted(whole, key=str)
    places = {(row["pixels"], part) for part, rows in parts.items() for row in rows}
    assert len(places) == 60
    assert {part: counts.total() for part, counts in told.rows.items()} == {
        part: len(rows) for part, rows in parts.items()
    }


def test_the_same_pixels_otherwise_spaced_are_the_same_picture(tmp_path):
    rows = [("1", shade(n)) for n in range(30)] + [("1", f" 0{shade(n)} ") for n in range(30)]
    deal_pixels(write_csv(tmp_path / "all.csv", rows), tmp_path / "out")
    first_pixels = [
        {int(row["pixels"].split()[0]) for row in rows}
        for rows in rows_of(tmp_path / "out").values()
    ]
    assert sum(map(len, first_pixels)) == 30


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("1", shade(256)), "row 2: a pixel is not a whole number from 0 to 255"),
        (("1", shade("x")), "row 2: a pixel is not a whole number from 0 to 255"),
        (("1", "1 2 3"), "row 2: 3 pixels, not 2304"),
        (("7", shade(1)), "row 2: ethnicity is '7', not one of 0, 1"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_written(tmp_path, row, said):
    source = write_csv(tmp_path / "all.csv", [("0", shade(0)), row])
    with pytest.raises(DataError, match=said):
        deal_pixels(source, tmp_path / "out", labels={"0": "zero", "1": "one"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"age,pixels\n1,2\n", "has the columns .*; ethnicity, pixels are needed"),
        (b"ethnicity,pixels\n1\n", "row 1: not one cell for each of the 2 columns"),
        (b"ethnicity,pixels\n1,2,3\n", "row 1: not one cell for each of the 2 columns"),
        (b"\xff\xfe\x00", "no CSV that can be read"),
        (b"ethnicity,pixels\n", "no picture to take: 0 were found"),
    ],
)
def test_what_is_no_pixel_csv_is_refused(tmp_path, content, said):
    (tmp_path / "all.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        deal_pixels(tmp_path / "all.csv", tmp_path / "out")


def test_a_given_part_is_kept_and_no_copy_of_its_pictures_is_learnt_from(tmp_path):
    def pictures():
        for n in range(40):
            yield Picture(f"train/{n}.jpg", "a"), bytes([n])
        for n in range(30, 50):
            yield Picture(f"val/{n}.jpg", "a", part="test"), bytes([n])

    told = deal_images(pictures, tmp_path / "out")
    assert told.rows["test"] == {"a": 20}
    assert told.left_out == 10
    assert sum(told.rows[part]["a"] for part in PARTS) == 50
    written = {path.name for path in (tmp_path / "out/train").rglob("*.jpg")}
    assert not written & {f"{n}.jpg" for n in range(30, 50)}


def test_two_pictures_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"two pictures are called a\.jpg"):
        deal_images(lambda: [(Picture("a.jpg", "x"), b"1")] * 2, tmp_path)


def test_a_label_can_be_left_out_and_rows_sampled(tmp_path):
    source = write_csv(tmp_path / "all.csv", [(str(n % 2), shade(n)) for n in range(100)])
    told = deal_pixels(source, tmp_path / "out", Choice(drop_label="0", rows=20))
    assert sum((counts for counts in told.rows.values()), Counter()) == {"1": 20}
    assert told.left_out == 80

"""Pixels as text, and folders of images."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from ethnicity_prediction.channel import ROWS_AT_ONCE, channel_digest, read_channel
from ethnicity_prediction.data import PIXELS, parse_pixels, parse_row, parse_rows
from ethnicity_prediction.errors import MalformedError, OutOfRangeError
from ethnicity_prediction.images import InputSpec
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import draw, write_pixel_csv

SPEC = InputSpec()
pixel_lists = st.lists(st.integers(0, 255), min_size=16, max_size=16).map(lambda v: v * 144)


def text(values, separator=" "):
    return separator.join(map(str, values)).encode()


@given(pixel_lists, st.sampled_from([" ", ",", "  ", ", "]))
def test_written_pixels_are_read_back(values, separator):
    assert parse_pixels(text(values, separator)).tolist() == values


@given(st.lists(pixel_lists, min_size=2, max_size=5), st.sampled_from([" ", ",", "  "]))
def test_rows_parsed_together_are_the_rows(rows, separator):
    assert parse_rows([text(row, separator) for row in rows]).tolist() == rows


def test_a_row_does_not_owe_a_pixel_to_its_neighbour():
    rows = [text([7] * count) for count in (PIXELS, PIXELS + 1, PIXELS - 1, PIXELS)]
    with pytest.raises(MalformedError, match=f"{PIXELS + 1} pixels, not 2304"):
        parse_rows(rows)


@given(pixel_lists, st.integers(0, PIXELS - 1), st.integers(256, 10**6))
def test_a_value_over_255_is_refused_and_named(values, position, value):
    values = [*values]
    values[position] = value
    with pytest.raises(OutOfRangeError, match=rf"pixel {position + 1} is {value}, not in 0-255"):
        parse_pixels(text(values))


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused_as_malformed(junk):
    with pytest.raises((MalformedError, OutOfRangeError)):
        parse_pixels(junk)


@given(
    pixel_lists, st.integers(0, PIXELS - 1), st.sampled_from(["-1", "1.5", "x", "1e2", "٣", "+1"])
)
def test_what_is_no_whole_number_is_refused_and_named(values, position, token):
    tokens = [str(v) for v in values]
    tokens[position] = token
    with pytest.raises(MalformedError, match=f"pixel {position + 1} is .*not a whole number"):
        parse_pixels(" ".join(tokens).encode())


@pytest.mark.parametrize("count", [0, 1, PIXELS - 1, PIXELS + 1])
def test_a_wrong_number_of_pixels_is_refused_with_the_number(count):
    with pytest.raises(MalformedError, match=rf"{count} pixels, not 2304 \(48 x 48\)"):
        parse_pixels(text([7] * count))


@given(pixel_lists, st.sampled_from(["0", "2", "Asian", "two words".replace(" ", "-")]))
def test_a_leading_label_is_ignored_in_every_form(values, label):
    for pixels in (text(values), text(values, ",")):
        assert parse_row(pixels).tolist() == values
        assert parse_row(label.encode() + b"," + pixels).tolist() == values


def test_a_pixel_csv_keeps_labels_and_pixels(tmp_path: Path):
    rows = draw(5)
    write_pixel_csv(tmp_path / "train.csv", rows)
    data = read_channel(tmp_path, SPEC)
    assert data.values == [label for label, _ in rows]
    assert (data.images[..., 0] == np.stack([image for _, image in rows])).all()
    assert data.digest == hashlib.sha256((tmp_path / "train.csv").read_bytes()).hexdigest()


def test_ages_and_genders_are_kept_where_the_data_tells_them(tmp_path: Path):
    pixels = " ".join(["9"] * PIXELS)
    (tmp_path / "a.csv").write_text(
        f"gender,age,ethnicity,pixels\n0,31,x,{pixels}\n, 20-29 ,y,{pixels}\n"
    )
    (tmp_path / "b.csv").write_text(f"ethnicity,age,pixels\nz,,{pixels}\n")
    (tmp_path / "c.csv").write_text("file,label\nc.png,w\n")
    Image.new("L", (48, 48)).save(tmp_path / "c.png")
    data = read_channel(tmp_path, SPEC)
    assert data.values == ["x", "y", "z", "w"]
    assert data.groups == {"gender": ["0", "", "", ""], "age": ["31", "20-29", "", ""]}


def test_the_digest_is_known_without_parsing(tmp_path: Path):
    write_pixel_csv(tmp_path / "a.csv", draw(2))
    (tmp_path / "labels.csv").write_text("file,label\nc.png,w\n")
    Image.new("L", (48, 48)).save(tmp_path / "c.png")
    assert channel_digest(tmp_path) == read_channel(tmp_path, SPEC).digest


def test_columns_may_stand_in_any_order_and_be_quoted(tmp_path: Path):
    pixels = " ".join(["9"] * PIXELS)
    (tmp_path / "a.csv").write_text(
        f'\ufeffPixels,"img, name",ethnicity\n"{pixels}","a, b",Other\n'
    )
    data = read_channel(tmp_path, SPEC)
    assert data.values == ["Other"]
    assert (data.images == 9).all()


def test_a_bad_row_is_named_by_file_and_number(tmp_path: Path):
    number = ROWS_AT_ONCE + 3
    write_pixel_csv(tmp_path / "train.csv", draw(number))
    good = (tmp_path / "train.csv").read_text().splitlines()
    fields = good[number].rsplit(",", 1)
    (tmp_path / "train.csv").write_text(
        "\n".join([*good[:number], fields[0] + "," + "300 " + " ".join(["1"] * (PIXELS - 1))])
    )
    told = rf"train\.csv: row {number}: pixel 1 is 300, not in 0-255"
    with pytest.raises(OutOfRangeError, match=told):
        read_channel(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "columns"),
        ("a,b\n1,2\n", "wanted are ethnicity and pixels"),
        ("ethnicity,pixels\n", "no rows"),
        ("ethnicity,pixels\n1,2,3\n", "row 1: 3 fields, the header has 2"),
        ("ethnicity,pixels\n," + " ".join(["1"] * PIXELS) + "\n", "row 1: the label is empty"),
        ("file,label\n../secret.png,x\n", "row 1: .* lies outside the channel"),
        ("file,label\nnone.png,x\n", "row 1: none.png"),
        ("file,label\nlabels.csv,x\n", "row 1: labels.csv: the bytes are no JPEG or PNG"),
    ],
)
def test_a_csv_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, content, words):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(MalformedError, match=words):
        read_channel(tmp_path, SPEC)


def test_a_csv_is_found_in_any_folder_and_however_it_is_spelt(tmp_path: Path):
    """As the pipeline finds it: its rule and its functions look below the prefix, too."""
    for path, (label, image) in zip(("A.CSV", "faces/b.csv"), draw(2), strict=True):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / path.lower().replace(".csv", ".png"))
        (tmp_path / path).write_text(f"file,label\n{Path(path).stem.lower()}.png,{label}\n")
    assert len(read_channel(tmp_path, SPEC).values) == 2


def test_a_channel_without_a_csv_is_refused(tmp_path: Path):
    with pytest.raises(MalformedError, match=r"no \.csv file in the channel"):
        read_channel(tmp_path / "train", SPEC)


@pytest.mark.parametrize(("size", "channels"), [(48, 1), (64, 3)])
def test_an_image_folder_is_read_like_its_pixels(tmp_path: Path, size, channels):
    rows = draw(4)
    folder, table = tmp_path / "images", tmp_path / "pixels"
    (folder / "sub").mkdir(parents=True)
    lines = ["file,label,age,gender"]
    for i, (label, image) in enumerate(rows):
        Image.fromarray(image).save(folder / "sub" / f"{i}.png")
        lines.append(f"sub/{i}.png,{label},30,1")
    (folder / "labels.csv").write_text("\n".join(lines))
    write_pixel_csv(table / "train.csv", rows)
    spec = InputSpec(size, channels)
    one, other = read_channel(folder, spec), read_channel(table, spec)
    assert one.images.shape == (4, size, size, channels)
    assert (one.images == other.images).all()
    assert one.values == other.values


def test_unknown_labels_have_no_code(tmp_path: Path):
    write_pixel_csv(tmp_path / "a.csv", draw(3))
    assert read_channel(tmp_path, SPEC).codes(["flat", "bars"]).tolist() == [1, -1, 0]

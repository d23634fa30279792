"""One preprocessing for all: files of any size and form become the same array."""

import contextlib
import io

import numpy as np
import pytest
from ethnicity_prediction.errors import NotAnImageError, TooLargeError
from ethnicity_prediction.images import (
    MAX_PIXELS,
    MAX_SCANS,
    SCAN_START,
    Decoder,
    InputSpec,
    decode,
    fit_pixels,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from tiny import pattern

SPEC = InputSpec()


def file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURE = Image.fromarray(pattern("bars", np.random.default_rng(0)))
JPEG = file(PICTURE, "JPEG", quality=95)
PNG = file(PICTURE)


def test_a_gray_image_of_the_right_size_is_its_own_pixels():
    assert (decode(PNG, SPEC)[..., 0] == np.asarray(PICTURE)).all()
    assert (fit_pixels(np.asarray(PICTURE)[None], SPEC)[0] == decode(PNG, SPEC)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [96, 192, 500])
def test_size_and_form_of_the_file_hardly_matter(side, mode, kind):
    large = PICTURE.resize((side, side), Image.Resampling.LANCZOS).convert(mode)
    difference = decode(file(large, kind), SPEC).astype(int) - decode(PNG, SPEC)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_usual_mode_is_read(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(file(PICTURE.convert(mode), kind), InputSpec(64, 3)).shape == (64, 64, 3)


def test_a_wide_image_is_cut_not_squeezed():
    wide = Image.new("L", (144, 48))
    wide.paste(PICTURE, (48, 0))
    assert (decode(file(wide), SPEC) == decode(PNG, SPEC)).all()


def test_a_lying_photo_is_set_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to view
    lying = file(PICTURE.rotate(90, expand=True), exif=exif)
    assert (decode(lying, SPEC) == decode(PNG, SPEC)).all()


@settings(max_examples=60)
@given(
    st.integers(30, 900),
    st.integers(30, 900),
    st.sampled_from(["L", "RGB"]),
    st.integers(20, 100),
    st.sampled_from([{}, {"subsampling": 0}, {"subsampling": 2}, {"progressive": True}]),
    st.sampled_from([InputSpec(48, 1), InputSpec(48, 3), InputSpec(64, 3)]),
)
def test_a_plain_jpeg_has_the_very_pixels_that_pillow_gives(
    width, height, mode, quality, options, spec
):
    noise = np.random.default_rng(width).normal(0, 12, (height, width))
    waves = 120 + 60 * np.sin(np.arange(width) / 9) * np.cos(np.arange(height) / 7)[:, None]
    gray = Image.fromarray(np.clip(waves + noise, 0, 255).astype(np.uint8))
    image = gray if mode == "L" else Image.merge("RGB", [gray, gray.transpose(1), gray])
    data = file(image, "JPEG", quality=quality, **options)
    assert Decoder(spec)._plain_jpeg(data) is not None
    assert (Decoder(spec)(data) == Decoder(spec)._any(data)).all()


def test_a_jpeg_that_is_decoded_twice_counts_once():
    decoder = Decoder(SPEC, pixels_left=48 * 48)
    with pytest.raises(NotAnImageError):
        decoder(JPEG[:-60])  # the quick decoder gives it to Pillow


def test_sixteen_bits_are_refused_rather_than_clipped():
    deep = Image.fromarray(np.full((48, 48), 40_000, np.uint16))
    with pytest.raises(NotAnImageError, match="over 8 bits"):
        decode(file(deep), SPEC)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"hello", PNG[:60], JPEG[:30]])
def test_other_bytes_are_no_image(data):
    with pytest.raises(NotAnImageError):
        decode(data, SPEC)


def test_a_small_file_with_too_many_pixels_is_refused_before_decoding():
    with pytest.raises(TooLargeError, match="6000 x 5000"):
        decode(file(Image.new("1", (6000, 5000))), SPEC)


@pytest.mark.parametrize("exif", [{}, {"exif": Image.Exif()}])
def test_a_jpeg_of_thousands_of_scans_is_refused_before_decoding(exif):
    """64 KB of them, each empty, would take 4 s for half a million pixels."""
    data = file(PICTURE, "JPEG", progressive=True, **exif)
    last = data[data.rindex(SCAN_START) : -2]

    def with_scans(number: int) -> bytes:
        return data[:-2] + last * (number - data.count(SCAN_START)) + data[-2:]

    assert decode(with_scans(MAX_SCANS), SPEC).shape == (48, 48, 1)
    with pytest.raises(TooLargeError, match=f"{MAX_SCANS + 1} scans; at most {MAX_SCANS}"):
        decode(with_scans(MAX_SCANS + 1), SPEC)


def test_a_png_whose_texts_unpack_to_much_is_refused():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("0", "a" * 900_000, zip=True)
    assert (decode(file(PICTURE, pnginfo=texts), SPEC) == decode(PNG, SPEC)).all()
    for number in range(1, 5):
        texts.add_text(str(number), "a" * 900_000, zip=True)
    with pytest.raises(NotAnImageError):
        decode(file(PICTURE, pnginfo=texts), SPEC)


def test_images_of_one_request_share_the_limit():
    decoder = Decoder(SPEC, pixels_left=2 * 48 * 48)
    decoder(PNG)
    decoder(PNG)
    with pytest.raises(TooLargeError, match=str(MAX_PIXELS)):
        decoder(PNG)


@settings(max_examples=150)
@given(st.sampled_from([PNG, JPEG]), st.data())
def test_broken_files_are_decoded_or_refused_never_worse(original, data):
    broken = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotAnImageError, TooLargeError):
        assert decode(bytes(broken), SPEC).shape == (48, 48, 1)

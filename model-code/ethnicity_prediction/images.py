"""From image to the model's input: the one preprocessing, for training and serving alike."""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, PngImagePlugin

from .errors import BadInputError, NotAnImageError, TooLargeError

MAX_PIXELS = 24_000_000  # of the images of one request before scaling; checked before decoding
DESCRIPTION = "upright by EXIF, cut to a centred square, scaled by Lanczos, gray or RGB, 0-255"
REDUCTIONS = (8, 4, 2, 1)  # at which a JPEG can be decoded sooner than whole
JPEG_START, SCAN_START = b"\xff\xd8", b"\xff\xda"
MAX_SCANS = 64  # of a JPEG, each of which costs a pass over all pixels; encoders write up to 20
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit, of which ours takes the place
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024**2  # bytes that texts beside the pixels unpack to


@dataclass(frozen=True)
class InputSpec:
    """The shape that a model wants: uint8 [size, size, channels]."""

    size: int = 48
    channels: int = 1

    @property
    def mode(self) -> str:
        return "L" if self.channels == 1 else "RGB"


@dataclass
class Decoder:
    """Decodes the images of one request, which share one limit on pixels."""

    spec: InputSpec
    pixels_left: int = MAX_PIXELS

    def __call__(self, data: bytes) -> np.ndarray:
        """JPEG or PNG bytes -> uint8 [size, size, channels]."""
        _check_scans(data)
        pixels = self._plain_jpeg(data)
        if pixels is None:
            return self._any(data)
        if pixels.shape[0] == pixels.shape[1] == self.spec.size:
            return pixels
        return fit(
            Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels), self.spec
        )

    def _any(self, data: bytes) -> np.ndarray:
        """By Pillow, which knows every kind."""
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                self._admit(*image.size)
                _check_depth(image.mode)
                image.draft(self.spec.mode, self._enough)
                return fit(ImageOps.exif_transpose(image), self.spec)
        except BadInputError:
            raise
        except Exception as error:  # on broken files Pillow raises whatever it stumbles over
            raise NotAnImageError(
                "the bytes are no JPEG or PNG image that can be decoded"
            ) from error

    @property
    def _enough(self) -> tuple[int, int]:
        """Width and height below which scaling would lose something."""
        return 2 * self.spec.size, 2 * self.spec.size

    def _plain_jpeg(self, data: bytes) -> np.ndarray | None:
        """A JPEG uint8 [h, w, channels] as Pillow decodes it, in a fifth of the time.

        None where Pillow has to look at it: another format, EXIF, rare colours, a broken file.
        """
        if not data.startswith(JPEG_START) or b"Exif\0" in data:
            return None
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return None
        if colours not in ("Gray", "YCbCr"):
            return None
        self._admit(width, height)
        possible = min(width // self._enough[0], height // self._enough[1])
        by = next((each for each in REDUCTIONS if each <= possible), 1)
        smallest = {"min_width": -(-width // by), "min_height": -(-height // by)}
        wanted = "GRAY" if self.spec.channels == 1 else "RGB"
        try:
            return simplejpeg.decode_jpeg(data, wanted, min_factor=by, **smallest)
        except ValueError:
            self.pixels_left += width * height  # Pillow counts it again
            return None

    def _admit(self, width: int, height: int) -> None:
        """Count an image against the limit, before it is decoded."""
        self.pixels_left -= width * height
        if self.pixels_left < 0:
            raise TooLargeError(
                f"an image of {width} x {height} pixels goes beyond the "
                f"{MAX_PIXELS} that one request may have"
            )


def _check_scans(data: bytes) -> None:
    scans = data.count(SCAN_START) if data.startswith(JPEG_START) else 0
    if scans > MAX_SCANS:
        raise TooLargeError(f"a JPEG of {scans} scans; at most {MAX_SCANS} are decoded")


def _check_depth(mode: str) -> None:
    if mode.startswith(("I", "F")):
        raise NotAnImageError(f"images of mode {mode} (over 8 bits) are not read")


def decode(data: bytes, spec: InputSpec) -> np.ndarray:
    """One JPEG or PNG -> uint8 [size, size, channels]."""
    return Decoder(spec)(data)


def fit(image: Image.Image, spec: InputSpec) -> np.ndarray:
    """Any image -> uint8 [size, size, channels]; one that already fits is left as it is."""
    image = image.convert(spec.mode)
    if image.size != (spec.size, spec.size):
        image = ImageOps.fit(image, (spec.size, spec.size), method=Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8).reshape(spec.size, spec.size, spec.channels)


def fit_pixels(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Square gray images uint8 [N, side, side] -> uint8 [N, size, size, channels]."""
    if spec.channels == 1 and pixels.shape[1:] == (spec.size, spec.size):
        return pixels[..., None]
    return np.stack([fit(Image.fromarray(square), spec) for square in pixels])

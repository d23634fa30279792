"""From image to the model's input: the one preprocessing, for training and serving alike."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from .errors import NotAnImageError, TooLargeError

MAX_PIXELS = 24_000_000  # of an image before it is scaled down; checked before decoding
DESCRIPTION = "upright by EXIF, cut to a centred square, scaled by Lanczos, gray or RGB, 0-255"
_DECODING_ERRORS = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class InputSpec:
    """The shape that a model wants: uint8 [size, size, channels]."""

    size: int = 48
    channels: int = 1

    @property
    def mode(self) -> str:
        return "L" if self.channels == 1 else "RGB"


def decode(data: bytes, spec: InputSpec) -> np.ndarray:
    """JPEG or PNG bytes -> uint8 [size, size, channels]."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise TooLargeError(
                    f"the image has {width} x {height} pixels; at most {MAX_PIXELS} are accepted"
                )
            if image.mode.startswith(("I", "F")):
                raise NotAnImageError(f"images of mode {image.mode} (over 8 bits) are not read")
            image.draft(spec.mode, (2 * spec.size, 2 * spec.size))
            return fit(ImageOps.exif_transpose(image), spec)
    except _DECODING_ERRORS as error:
        raise NotAnImageError("the bytes are no JPEG or PNG image that can be decoded") from error


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

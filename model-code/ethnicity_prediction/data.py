"""Rows of pixels as text -> arrays; the same parser for training and serving."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from .errors import MalformedError, OutOfRangeError

SIDE = 48  # of the image in a row of pixels
PIXELS = SIDE * SIDE
_ZERO, _SPACE, _COMMA = np.frombuffer(b"0 ,", dtype=np.uint8)
_TEN, _HUNDRED = np.uint8(10), np.uint8(100)


def parse_pixels(text: bytes) -> np.ndarray:
    """'p p p …' or 'p,p,p,…' -> uint8 [2304]; values over 255 are refused, never wrapped."""
    return parse_rows([text])[0]


def parse_rows(texts: Sequence[bytes]) -> np.ndarray:
    """Parse one text a row -> uint8 [N, 2304]; the error is about the first row that has a fault.

    Works on all characters at once: a number is the last of its digits and the one or two before.
    A few cheap passes beat one with look-ups, and some rows together take half the time each.
    """
    codes = np.frombuffer(b"   " + b" ".join(texts) + b" ", dtype=np.uint8)
    digits = codes - _ZERO  # wraps for what is no digit, to 10 or more
    is_digit = digits < _TEN
    ends = np.flatnonzero(is_digit[2:-1] > is_digit[3:])  # the last digits of the numbers
    is_known = is_digit | (codes == _SPACE) | (codes == _COMMA)
    if not _are_in_rows(ends, texts) or not is_known.all():
        raise MalformedError(_what_is_wrong(texts))
    hundreds, tens, ones = (digits[place:].take(ends) for place in range(3))
    has_tens = tens < _TEN
    has_hundreds = has_tens & (hundreds < _TEN)
    hundreds *= has_hundreds
    low = ones + tens * has_tens * _TEN
    used = ends.size + np.count_nonzero(has_tens) + np.count_nonzero(has_hundreds)
    is_long = np.count_nonzero(is_digit) > used  # a number of four digits or more
    if is_long or ((hundreds > 2) | ((hundreds == 2) & (low > 55))).any():
        raise OutOfRangeError(_what_is_wrong(texts))
    return (low + hundreds * _HUNDRED).reshape(len(texts), PIXELS)


def _are_in_rows(ends: np.ndarray, texts: Sequence[bytes]) -> bool:
    """Whether every row has its number of numbers, and does not owe one to its neighbour."""
    if ends.size != len(texts) * PIXELS:
        return False
    if len(texts) == 1:
        return True
    row_ends = list(accumulate(len(text) + 1 for text in texts))
    return bool((np.searchsorted(ends, row_ends) == PIXELS * np.arange(1, len(texts) + 1)).all())


def _what_is_wrong(texts: Sequence[bytes]) -> str:
    """The first fault of rows that could not be parsed; slow, for error messages only."""
    return next(filter(None, map(_fault, texts)))


def _fault(text: bytes) -> str:
    tokens = text.decode("latin-1").replace(",", " ").split(" ")
    tokens = [token for token in tokens if token]
    for position, token in enumerate(tokens, start=1):
        if not (token.isascii() and token.isdecimal()):
            return f"pixel {position} is {token[:20]!r}, not a whole number"
        if len(token) > 3 or int(token) > 255:
            return f"pixel {position} is {token[:20]}, not in 0-255"
    return "" if len(tokens) == PIXELS else f"{len(tokens)} pixels, not {PIXELS} ({SIDE} x {SIDE})"


def parse_row(line: bytes) -> np.ndarray:
    """A row as the endpoint takes it, with or without a leading label column -> uint8 [2304]."""
    commas = line.count(b",")
    pixels = line if commas in (0, PIXELS - 1) else line.partition(b",")[2]
    return parse_pixels(pixels)

"""A pixel CSV that is made while it is read: as bytes it would be hundreds of megabytes."""

from collections.abc import Iterator

HEADER = b"age,ethnicity,gender,img_name,pixels\n"
LABELS = ("Round", "Square", "Star")
DIGITS = 6  # the first pixels of a row spell its number
TAIL = b" 7" * (48 * 48 - DIGITS) + b"\n"
CHUNK_ROWS = 64


def truth(number: int) -> int:
    """Return the label of a row; one in seven is another than what is predicted."""
    return (number + (number % 7 == 0)) % 3


def predicted(number: int) -> int:
    return number % 3


def age(number: int) -> int:
    return 25 if number % 10 < 6 else 65


def gender(number: int) -> int:
    return number // 3 % 2


def row(number: int) -> bytes:
    cells = f"{age(number)},{truth(number)},{gender(number)},x.png,"
    return (cells + " ".join(f"{number:0{DIGITS}d}")).encode() + TAIL


def number_of(pixels: bytes) -> int:
    """Return the number of a row from its pixels."""
    return int(pixels[: 2 * DIGITS : 2])


class RowFile:
    """The rows of a range as one file; what `bytes` can do that a store of objects needs."""

    def __init__(self, numbers: range, start: int = 0) -> None:
        self.numbers, self.start = numbers, start

    def __len__(self) -> int:
        return len(HEADER) + len(self.numbers) * len(row(0)) - self.start

    def __getitem__(self, part: slice) -> "RowFile":
        return RowFile(self.numbers, self.start + part.start)

    def __iter__(self) -> Iterator[bytes]:
        if self.start < len(HEADER):
            yield HEADER[self.start :]
        first, skip = divmod(max(0, self.start - len(HEADER)), len(row(0)))
        for at in range(first, len(self.numbers), CHUNK_ROWS):
            chunk = b"".join(map(row, self.numbers[at : at + CHUNK_ROWS]))
            yield chunk[skip:]
            skip = 0

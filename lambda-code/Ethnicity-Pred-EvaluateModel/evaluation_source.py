"""Reading labelled data from S3 line by line, from any line on."""

import json
import posixpath
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from common.failures import error_code
from evaluation_data import BadData, Layout, Row, label_names, parse_header, parse_row

MAX_LINE_BYTES = 1 << 20
MAX_IMAGE_BYTES = 5_000_000  # what the API takes, too
MISSING = {"NoSuchKey", "404", "AccessDenied", "403"}  # without s3:ListBucket, S3 says 403


@dataclass(frozen=True)
class Place:
    """The line to read next: a file by its number, the byte where it begins, its line number."""

    file: int = 0
    byte: int = 0
    line: int = 1


@dataclass(frozen=True)
class Found:
    """A row, its CSV's key and layout, and the place behind it."""

    row: Row
    key: str
    layout: Layout
    behind: Place


@dataclass(frozen=True)
class LabelledData:
    """Some CSVs of a bucket, as they were when first listed."""

    s3: Any
    bucket: str
    files: list[tuple[str, str]]  # key, ETag

    def rows(self, start: Place) -> Iterator[Found]:
        """Yield every row from start to the end of the last file."""
        for number in range(start.file, len(self.files)):
            begin = start if number == start.file else Place(number)
            yield from self._file_rows(begin)

    def image(self, csv_key: str, name: str) -> bytes:
        """Return a picture that a labels CSV names relative to itself."""
        key = posixpath.join(posixpath.dirname(csv_key), name)
        try:
            image = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read(
                MAX_IMAGE_BYTES + 1
            )
        except Exception as error:
            if error_code(error) in MISSING:
                raise BadData(
                    f"s3://{self.bucket}/{csv_key} names {name!r}, but {key} cannot be read"
                ) from error
            raise
        if len(image) > MAX_IMAGE_BYTES:
            raise BadData(f"s3://{self.bucket}/{key} has more than {MAX_IMAGE_BYTES} bytes")
        return image

    def _file_rows(self, begin: Place) -> Iterator[Found]:
        key, _ = self.files[begin.file]
        lines = self._lines(begin.file, 0)
        header, size = next(lines, ("", 0))
        layout = parse_header(header, f"s3://{self.bucket}/{key}")
        byte, line = size, 1
        if begin.byte > byte:
            byte, line = begin.byte, begin.line
            lines.close()
            lines = self._lines(begin.file, byte)
        for text, size in lines:
            byte, line = byte + size, line + 1
            if text.strip():
                where = f"s3://{self.bucket}/{key} line {line}"
                row = parse_row(layout, text, where)
                yield Found(row, key, layout, Place(begin.file, byte, line))

    def _lines(self, file: int, byte: int) -> Generator[tuple[str, int], None, None]:
        key, etag = self.files[file]
        where = {"Bucket": self.bucket, "Key": key, "IfMatch": etag}
        try:
            body = self.s3.get_object(**where, Range=f"bytes={byte}-")["Body"]
        except Exception as error:
            if error_code(error) == "InvalidRange":  # the last call had read to the very end
                return
            if error_code(error) in {"PreconditionFailed", "412"}:
                raise BadData(f"s3://{self.bucket}/{key} has changed during the test") from error
            raise
        with closing(body):
            for raw in body.iter_lines(chunk_size=1 << 16, keepends=True):
                if len(raw) > MAX_LINE_BYTES:
                    raise BadData(f"s3://{self.bucket}/{key} has a line of {len(raw)} bytes")
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError:
                    raise BadData(f"s3://{self.bucket}/{key} is not UTF-8 text") from None
                yield text.rstrip("\r\n"), len(raw)


def find_data(s3: Any, bucket: str, prefix: str) -> list[tuple[str, str]]:
    """List key and ETag of the CSVs under the prefix; raise BadData naming it if there is none."""
    files, request = [], {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = s3.list_objects_v2(**request)
        for found in page.get("Contents", []):
            if found["Key"].lower().endswith(".csv") and found["Size"]:
                files.append((found["Key"], found["ETag"]))
        if not page.get("IsTruncated"):
            break
        request["ContinuationToken"] = page["NextContinuationToken"]
    if not files:
        raise BadData(f"no test data (a CSV) under s3://{bucket}/{prefix}; upload it (step 4)")
    return files


def find_label_names(s3: Any, bucket: str, prefix: str) -> dict[str, str]:
    """Read labels.json beside the data, else beside the training data; {} if there is neither."""
    for key in (f"{prefix}labels.json", "train/labels.json"):
        try:
            text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except Exception as error:
            if error_code(error) in MISSING:
                continue
            raise
        try:
            return label_names(json.loads(text))
        except (ValueError, AttributeError) as error:
            raise BadData(f"s3://{bucket}/{key} is not a JSON object") from error
    return {}

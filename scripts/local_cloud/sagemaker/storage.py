"""SageMaker's traffic with S3, always as the execution role: channels, models, checkpoints."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.arns import split_s3

CHUNK = 1 << 20


class StorageError(RuntimeError):
    """S3 said no; the message carries its own words."""


def keys_under(s3: Any, uri: str) -> Iterator[str]:
    """Yield every key under an s3:// prefix, page by page."""
    bucket, prefix = split_s3(uri)
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield entry["Key"]
    except (ClientError, BotoCoreError) as error:
        raise StorageError(str(error)) from error


def download(s3: Any, bucket: str, key: str, target: Path) -> None:
    """Write one object to a file, its folders made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            for chunk in body.iter_chunks(CHUNK):
                file.write(chunk)
    except (ClientError, BotoCoreError) as error:
        raise StorageError(f"s3://{bucket}/{key}: {error}") from error


def upload(s3: Any, source: Path, uri: str, kms_key: str = "") -> None:
    """Write a file to an s3:// URI, encrypted with the key if there is one."""
    bucket, key = split_s3(uri)
    extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    try:
        s3.upload_file(str(source), bucket, key, ExtraArgs=extra)
    except Exception as error:  # boto3's S3UploadFailedError has no base in botocore
        raise StorageError(f"{uri}: {error}") from error


def upload_archive(s3: Any, folders: list[Path], uri: str, kms_key: str = "") -> bool:
    """Write the folders' files as one tar.gz; False, and nothing written, if there are none.

    The first folder wins where two hold a file of the same name.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files.setdefault(path.relative_to(folder).as_posix(), path)
    if not files:
        return False
    with tempfile.TemporaryDirectory(prefix="sagemaker-") as scratch:
        archive = Path(scratch) / "archive.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, path in files.items():
                tar.add(path, arcname=name)
        upload(s3, archive, uri, kms_key)
    return True


def download_archive(s3: Any, uri: str, folder: Path) -> None:
    """Unpack a tar.gz of S3 into a folder; a member that would leave it is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sagemaker-") as scratch:
        archive = Path(scratch) / "archive.tar.gz"
        download(s3, *split_s3(uri), archive)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(folder, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise StorageError(f"{uri} is not a tar.gz of plain files: {error}") from error


class Mirror:
    """Keeps an s3:// prefix in step with a folder: checkpoints, in both directions."""

    def __init__(self, folder: Path, uri: str, kms_key: str = "") -> None:
        self.folder = folder
        self.uri = uri.rstrip("/") + "/"
        self.kms_key = kms_key
        self._sent: dict[Path, tuple[int, int]] = {}

    def fetch(self, s3: Any) -> None:
        """Bring what an earlier job left into the folder."""
        bucket, prefix = split_s3(self.uri)
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in keys_under(s3, self.uri):
            if relative := key.removeprefix(prefix):
                target = self.folder / relative
                download(s3, bucket, key, target)
                self._sent[target] = _stamp(target)

    def send(self, s3: Any) -> None:
        """Send every file that is new or has changed since it was last sent."""
        for path in sorted(self.folder.rglob("*")):
            try:
                stamp = _stamp(path)
            except FileNotFoundError:  # replaced by the program while we looked
                continue
            if path.is_file() and self._sent.get(path) != stamp:
                relative = path.relative_to(self.folder).as_posix()
                upload(s3, path, self.uri + relative, self.kms_key)
                self._sent[path] = stamp


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns

"""Fills the data bucket."""

from __future__ import annotations

from pathlib import Path

from lab.data_set import DataSet
from lab.workshop import Workshop

TRAINING_KEY = "train/train.csv"


def upload_all(workshop: Workshop, data: DataSet, images: Path = Path("test-data")) -> None:
    """Fill the data bucket: images and test data first, the training CSV last.

    A new train/*.csv starts the pipeline, so it must find everything else in its place.
    """
    files = {f"images/{file.name}": file for file in sorted(images.glob("download-*"))}
    for part in ("smoketest", "validation"):
        files[f"{part}/{part}.csv"] = data.part_path(part)
    files["train/labels.json"] = data.folder / "train/labels.json"
    files[TRAINING_KEY] = data.part_path("train")
    for key, file in files.items():
        put(workshop, file, key)


def put(workshop: Workshop, file: Path, key: str) -> None:
    """Upload one file to the data bucket and say so."""
    bucket = workshop.outputs["DataBucket"]
    workshop.client("s3").upload_file(str(file), bucket, key)
    print(f"{file.stat().st_size / 1e6:6.2f} MB  s3://{bucket}/{key}")

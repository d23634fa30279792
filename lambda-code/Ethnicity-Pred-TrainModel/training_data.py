"""Which training channels the data bucket can fill."""

from collections.abc import Iterator
from typing import Any

from common.failures import WrongConfiguration


def find_channels(s3: Any, bucket: str) -> list[str]:
    """Return ['train'] or ['train', 'validation']; without a filled CSV under train/, fail."""
    train = objects(s3, bucket, "train/")
    if not any(key.lower().endswith(".csv") and size > 0 for key, size in train):
        raise WrongConfiguration(f"no training data under s3://{bucket}/train/; upload it (step 4)")
    has_validation = any(size > 0 for _, size in objects(s3, bucket, "validation/"))
    return ["train", "validation"] if has_validation else ["train"]


def objects(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield (key, size) page by page, so that asking stops at the first hit."""
    request = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = s3.list_objects_v2(**request)
        for found in page.get("Contents", []):
            yield found["Key"], found["Size"]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]

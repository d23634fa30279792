"""Which training channels the data bucket can fill."""

from collections.abc import Iterator
from typing import Any

from common.failures import WrongConfiguration


def find_channels(s3: Any, bucket: str) -> list[str]:
    """Return ['train'] or ['train', 'validation']; without a filled CSV under train/, fail."""
    filled = [name for name in ("train", "validation") if _has_csv(s3, bucket, f"{name}/")]
    if "train" not in filled:
        raise WrongConfiguration(f"no training data under s3://{bucket}/train/; upload it (step 4)")
    return filled


def _has_csv(s3: Any, bucket: str, prefix: str) -> bool:
    found = objects(s3, bucket, prefix)
    return any(key.lower().endswith(".csv") and size > 0 for key, size in found)


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

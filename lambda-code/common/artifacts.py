"""Pipeline artifacts: ZIPs that hold exactly one JSON file."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from common.failures import ActionFailed, error_code

MAX_ZIP_BYTES = 1 << 20
MAX_JSON_BYTES = 4 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(name: str, content: Mapping[str, Any]) -> bytes:
    """Return a ZIP with content as its only file, name.json; the same content, the same bytes."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.json", _EPOCH), text)
    packed = buffer.getvalue()
    if len(packed) > MAX_ZIP_BYTES or len(text) > MAX_JSON_BYTES:
        raise ActionFailed(f"{name}.json is too large for an artifact: {len(text)} bytes")
    return packed


def unpack(packed: bytes, artifact: str) -> dict[str, Any]:
    """Return the JSON object in the ZIP; raise ActionFailed naming the artifact."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            if len(files) != 1 or not files[0].filename.endswith(".json"):
                raise ActionFailed(f"artifact {artifact} must hold one JSON file, not {len(files)}")
            if files[0].file_size > MAX_JSON_BYTES:
                raise ActionFailed(f"artifact {artifact} unpacks to {files[0].file_size} bytes")
            content = json.loads(archive.read(files[0]))
    except (zipfile.BadZipFile, ValueError, RecursionError, NotImplementedError) as error:
        raise ActionFailed(f"artifact {artifact} is no ZIP with one JSON file") from error
    if not isinstance(content, dict):
        raise ActionFailed(f"artifact {artifact} holds a {type(content).__name__}, not an object")
    return content


def read(s3: Any, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Fetch and unpack one of the job's input artifacts."""
    name, place = artifact["name"], artifact["location"]["s3Location"]
    where = {"Bucket": place["bucketName"], "Key": place["objectKey"]}
    try:
        answer = s3.get_object(**where)
        packed = answer["Body"].read(MAX_ZIP_BYTES + 1)
    except Exception as error:
        raise _told(error, f"cannot read artifact {name}") from error
    if len(packed) > MAX_ZIP_BYTES:
        raise ActionFailed(f"artifact {name} has more than {MAX_ZIP_BYTES} bytes: it is not ours")
    return unpack(packed, name)


def write(
    s3: Any,
    artifact: Mapping[str, Any],
    content: Mapping[str, Any],
    key: Mapping[str, str] | None,
) -> None:
    """Pack and store the job's output artifact, encrypted as the pipeline's store wants it."""
    name, place = artifact["name"], artifact["location"]["s3Location"]
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["id"]} if key else {}
    packed = pack(str(content.get("kind", name)), content)
    try:
        s3.put_object(
            Bucket=place["bucketName"],
            Key=place["objectKey"],
            Body=packed,
            ContentType="application/zip",
            **encryption,
        )
    except Exception as error:
        raise _told(error, f"cannot write artifact {name}") from error


def _told(error: Exception, what: str) -> Exception:
    """Add what we were doing to AWS's own words, and keep its code (which decides the type)."""
    if not error_code(error):
        return ActionFailed(f"{what}: {type(error).__name__}: {error}")
    told = ActionFailed(f"{what} with the pipeline's credentials: {error}")
    told.response = error.response  # type: ignore[attr-defined]
    return told

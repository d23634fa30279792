"""AWS::S3::Bucket as CloudFormation makes it: every property applied or refused, none dropped.

ministack keeps a template's versioning, notifications, CORS, public access block and website, and
drops encryption, lifecycle rules, ownership, logging and tags; its delete takes the objects along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.serialize

from local_cloud import seams
from local_cloud.shapes import service_model
from local_cloud.strict import seams as private

RESOURCE_TYPE = "AWS::S3::Bucket"
NOT_EMPTY = "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"
MINISTACKS_OWN = {
    "BucketName",
    "NotificationConfiguration",
    "CorsConfiguration",
    "PublicAccessBlockConfiguration",
    "WebsiteConfiguration",
}


class UnsupportedProperty(ValueError):
    """A bucket property that the local cloud would have to drop."""


def install() -> None:
    """Wrap ministack's three handlers of the type."""
    handlers = seams.resource_handler(RESOURCE_TYPE)
    handlers["create"] = _create(handlers["create"])
    handlers["update"] = _update(handlers["update"])
    handlers["delete"] = _delete


def _create(known: Callable[..., tuple[str, dict]]) -> Callable[..., tuple[str, dict]]:
    def create(logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        _refuse_unknown(properties)
        name, attributes = known(logical_id, properties, stack_name)
        _apply(name, {}, properties)
        return name, attributes

    return create


def _update(known: Callable[..., tuple[str, dict]]) -> Callable[..., tuple[str, dict]]:
    def update(physical_id: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict]:
        _refuse_unknown(new)
        name, attributes = known(physical_id, old, new, stack_name)
        _apply(name, old if name == physical_id else {}, new)
        return name, attributes

    return update


def _delete(physical_id: str, properties: dict) -> None:
    status, _, _ = private.S3_DELETE_BUCKET(physical_id)
    if status == 409:
        raise ValueError(NOT_EMPTY)


def _refuse_unknown(properties: dict[str, Any]) -> None:
    if dropped := sorted(properties.keys() - MINISTACKS_OWN - APPLIED.keys()):
        raise UnsupportedProperty(
            f"{RESOURCE_TYPE}: {', '.join(dropped)} is not emulated by the local cloud"
        )


def _apply(name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Apply what the template says of each property; one that it no longer says is reset."""
    for key, (put, reset) in APPLIED.items():
        if key in new:
            put(name, new[key])
        elif key in old:
            reset(name)


def _body(operation: str, request: dict[str, Any]) -> bytes:
    """Write a request's XML as boto3 writes it."""
    model = service_model("s3")
    serializer = botocore.serialize.create_serializer("rest-xml", include_validation=True)
    made: bytes = serializer.serialize_to_request(
        {"Bucket": "unused", **request}, model.operation_model(operation)
    )["body"]
    return made


def _accept(answer: tuple[int, dict, bytes | str], name: str) -> None:
    if answer[0] >= 400:
        raise ValueError(f"{RESOURCE_TYPE} {name}: {answer[2]!r}")


def _put_encryption(name: str, value: dict[str, Any]) -> None:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            "BucketKeyEnabled": _true(rule.get("BucketKeyEnabled", False)),
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    configuration = {"ServerSideEncryptionConfiguration": {"Rules": rules}}
    _accept(private.S3_PUT_ENCRYPTION(name, _body("PutBucketEncryption", configuration)), name)


def _put_lifecycle(name: str, value: dict[str, Any]) -> None:
    configuration = {"LifecycleConfiguration": {"Rules": [_rule(r) for r in value["Rules"]]}}
    body = _body("PutBucketLifecycleConfiguration", configuration)
    _accept(private.S3_PUT_LIFECYCLE(name, body), name)


def _put_versioning(name: str, value: dict[str, Any]) -> None:
    body = _body("PutBucketVersioning", {"VersioningConfiguration": {"Status": value["Status"]}})
    _accept(private.S3_PUT_VERSIONING(name, body), name)


def _suspend_versioning(name: str) -> None:
    _put_versioning(name, {"Status": "Suspended"})


def _put_ownership(name: str, value: dict[str, Any]) -> None:
    body = _body("PutBucketOwnershipControls", {"OwnershipControls": {"Rules": value["Rules"]}})
    _accept(private.S3_PUT_OWNERSHIP(name, body), name)


def _default_ownership(name: str) -> None:
    _put_ownership(name, {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})


def _put_logging(name: str, value: dict[str, Any]) -> None:
    enabled = {
        "TargetBucket": value.get("DestinationBucketName", name),
        "TargetPrefix": value.get("LogFilePrefix", ""),
    }
    body = _body("PutBucketLogging", {"BucketLoggingStatus": {"LoggingEnabled": enabled}})
    _accept(private.S3_PUT_LOGGING(name, body), name)


def _no_logging(name: str) -> None:
    body = _body("PutBucketLogging", {"BucketLoggingStatus": {}})
    _accept(private.S3_PUT_LOGGING(name, body), name)


def _put_tags(name: str, value: list[dict[str, str]]) -> None:
    body = _body("PutBucketTagging", {"Tagging": {"TagSet": value}})
    _accept(private.S3_PUT_TAGGING(name, body), name)


# CloudFormation's name of an expiry or transition → the API's, with its member.
LIFECYCLE_MEMBERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "Id": lambda v: {"ID": v},
    "Status": lambda v: {"Status": v},
    "ExpirationInDays": lambda v: {"Expiration": {"Days": int(v)}},
    "ExpirationDate": lambda v: {"Expiration": {"Date": v}},
    "ExpiredObjectDeleteMarker": lambda v: {"Expiration": {"ExpiredObjectDeleteMarker": _true(v)}},
    "NoncurrentVersionExpirationInDays": lambda v: {
        "NoncurrentVersionExpiration": {"NoncurrentDays": int(v)}
    },
    "NoncurrentVersionExpiration": lambda v: {"NoncurrentVersionExpiration": _numbers(v)},
    "AbortIncompleteMultipartUpload": lambda v: {"AbortIncompleteMultipartUpload": _numbers(v)},
    "Transitions": lambda v: {"Transitions": [_transition(t) for t in v]},
    "NoncurrentVersionTransitions": lambda v: {
        "NoncurrentVersionTransitions": [
            {
                "StorageClass": t["StorageClass"],
                "NoncurrentDays": int(t["TransitionInDays"]),
            }
            for t in v
        ]
    },
}
FILTER_MEMBERS = ("Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Turn a lifecycle rule of a template into one of the API."""
    if unknown := sorted(rule.keys() - LIFECYCLE_MEMBERS.keys() - set(FILTER_MEMBERS)):
        raise UnsupportedProperty(f"lifecycle rule: {', '.join(unknown)} is not emulated")
    made: dict[str, Any] = {"Filter": _filter(rule)}
    for key, value in rule.items():
        if key not in FILTER_MEMBERS:
            for name, member in LIFECYCLE_MEMBERS[key](value).items():
                made[name] = {**made[name], **member} if name in made else member
    return made


def _filter(rule: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if "Prefix" in rule:
        parts["Prefix"] = rule["Prefix"]
    if "TagFilters" in rule:
        parts["Tags"] = rule["TagFilters"]
    for key in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if key in rule:
            parts[key] = int(rule[key])
    if len(parts) == 1 and "Tags" not in parts:
        return parts
    return {"And": parts} if parts else {"Prefix": ""}


def _transition(value: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"StorageClass": value["StorageClass"]}
    if "TransitionInDays" in value:
        made["Days"] = int(value["TransitionInDays"])
    if "TransitionDate" in value:
        made["Date"] = value["TransitionDate"]
    return made


def _numbers(value: dict[str, Any]) -> dict[str, int]:
    return {key: int(number) for key, number in value.items()}


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


Put = Callable[[str, Any], None]
Reset = Callable[[str], object]
APPLIED: dict[str, tuple[Put, Reset]] = {
    "BucketEncryption": (_put_encryption, private.S3_DELETE_ENCRYPTION),
    "LifecycleConfiguration": (_put_lifecycle, private.S3_DELETE_LIFECYCLE),
    "VersioningConfiguration": (_put_versioning, _suspend_versioning),
    "OwnershipControls": (_put_ownership, _default_ownership),
    "LoggingConfiguration": (_put_logging, _no_logging),
    "Tags": (_put_tags, private.S3_DELETE_TAGGING),
}

"""Input channels: which object goes to which host, and under which name it lies there."""

from __future__ import annotations

from typing import Any

from local_cloud.sagemaker.arns import split_s3

FULLY_REPLICATED = "FullyReplicated"
SHARDED = "ShardedByS3Key"


def missing_data(source: dict[str, Any], role_arn: str, region: str) -> str:
    """Say that a channel's prefix holds no object, in AWS's words."""
    uri = source["S3Uri"]
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({region}), that objects exist under that S3 "
        f'prefix, and that the role "{role_arn}" has "s3:ListBucket" permissions on bucket '
        f'"{split_s3(uri)[0]}".'
    )


def share(keys: list[str], distribution: str, host: int, hosts: int) -> list[str]:
    """Return the keys that host number `host` (from 0) of `hosts` receives."""
    return sorted(keys)[host::hosts] if distribution == SHARDED else sorted(keys)


def local_name(key: str, prefix: str) -> str | None:
    """Return the path of an object below its channel's folder; None for a folder's marker.

    `s3://b/train` and `s3://b/train/` both place train/a.csv as a.csv; a prefix that ends within
    a name, or is the whole key, keeps that name.
    """
    inner = key.removeprefix(prefix if prefix.endswith("/") else f"{prefix}/")
    relative = inner if inner != key else key[prefix.rfind("/") + 1 :]
    return None if not relative or relative.endswith("/") else relative


def input_data_config(channels: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return /opt/ml/input/config/inputdataconfig.json."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", FULLY_REPLICATED
            ),
            "RecordWrapperType": "None",
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in channels
    }


def resource_config(
    host: str, hosts: list[str], instance_type: str, interface: str
) -> dict[str, Any]:
    """Return /opt/ml/input/config/resourceconfig.json; the interface joins the hosts."""
    group = "homogeneousCluster"
    return {
        "current_host": host,
        "current_instance_type": instance_type,
        "current_group_name": group,
        "hosts": hosts,
        "instance_groups": [
            {"instance_group_name": group, "instance_type": instance_type, "hosts": hosts}
        ],
        "network_interface_name": interface,
    }


def host_names(count: int) -> list[str]:
    """Return the names of a job's hosts: algo-1, algo-2 and so on."""
    return [f"algo-{number}" for number in range(1, count + 1)]

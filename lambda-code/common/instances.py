"""What has to be known about SageMaker's instance types."""

import re

# Families with their own NVMe disks, which SageMaker encrypts in hardware; it refuses a KMS key
# for their volumes ("You can't request a VolumeKmsKeyId when using an instance type with local
# storage"). GPU and accelerator families since Nitro have such disks, and so has every family
# with a "d" among the letters behind its number (m5d, c6gd, r7gd ...).
_ACCELERATED = re.compile(r"(g4dn|g5|g5g|g6|g6e|gr6|g7e?|p4d|p4de|p5|p5e|p5en|p6\S*|trn1n?|trn2)")
_WITH_DISKS = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*")


def takes_volume_key(instance_type: str) -> bool:
    """Tell whether SageMaker accepts a KMS key for the storage volume of an instance type."""
    family = instance_type.split(".")[1] if instance_type.count(".") == 2 else instance_type
    return not (_ACCELERATED.fullmatch(family) or _WITH_DISKS.fullmatch(family))

"""AddTags, ListTags and DeleteTags, on everything that exists."""

from __future__ import annotations

from typing import Any

from local_cloud.sagemaker.base import SageMakerBase, Tags
from local_cloud.sagemaker.refusals import Refused
from local_cloud.service import Call

LIMIT = 50


class TagsApi(SageMakerBase):
    """Tags of any resource."""

    def add_tags(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        tags = self._of(request)
        merged = tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        if len(merged) > LIMIT:
            raise Refused(f"A resource has at most {LIMIT} tags, these would be {len(merged)}")
        tags.update(merged)
        return {"Tags": _as_list(tags)}

    def list_tags(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return {"Tags": _as_list(self._of(request))}

    def delete_tags(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        tags = self._of(request)
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _of(self, request: dict[str, Any]) -> Tags:
        arn = request["ResourceArn"]
        if arn not in self.tags:
            raise Refused(f'Could not find resource "{arn}".')
        return self.tags[arn]


def _as_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

"""What StartPipelineExecution may say about the sources."""

from __future__ import annotations

import pytest
from local_cloud.codepipeline.declaration import Action, Pipeline, Stage
from local_cloud.codepipeline.wire import source_overrides
from local_cloud.errors import ApiError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = Stage("Source", (Action("Get", "CodeCommit", "Source"),))


def overrides(commit: str) -> dict[str, str]:
    revision = {"actionName": "Get", "revisionType": "COMMIT_ID", "revisionValue": commit}
    return source_overrides(Pipeline("pipe", 1, "arn:role", (SOURCE,)), [revision])


def test_a_source_can_be_given_a_commit() -> None:
    assert overrides(COMMIT) == {"Get": COMMIT}


@pytest.mark.parametrize("name", ["main", "HEAD", COMMIT[:8], f"{COMMIT}\n", "--all"])
def test_a_commit_is_given_by_its_whole_id(name: str) -> None:
    with pytest.raises(ApiError, match="no commit ID") as refused:
        overrides(name)
    assert refused.value.code == "ValidationException"

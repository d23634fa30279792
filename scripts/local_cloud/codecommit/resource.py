"""The CloudFormation type AWS::CodeCommit::Repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_cloud import cfn, seams
from local_cloud.members import members, refuse_unhonoured

if TYPE_CHECKING:
    from local_cloud.codecommit import CodeCommit

RESOURCE_TYPE = "AWS::CodeCommit::Repository"
HONOURED = members("RepositoryName", "RepositoryDescription")


class RepositoryResource:
    """Creates, updates and deletes repositories for stacks."""

    def __init__(self, service: CodeCommit) -> None:
        self.service = service

    def install(self) -> None:
        """Register the type."""
        seams.register_resource(RESOURCE_TYPE, self.create, self.update, self.delete)

    def create(self, logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        request = self._request(properties)
        created = self.service.call("CreateRepository", request, cfn.stack_call())
        return _attributes(created["repositoryMetadata"])

    def update(self, physical_id: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict]:
        request, call = self._request(new), cfn.stack_call()
        name, known = request["repositoryName"], old["RepositoryName"]
        if name != known:
            renaming = {"oldName": known, "newName": name}
            self.service.call("UpdateRepositoryName", renaming, call)
        description = {"repositoryDescription": "", **request}
        self.service.call("UpdateRepositoryDescription", description, call)
        return _attributes(self.service.repositories[name])

    def delete(self, physical_id: str, properties: dict) -> None:
        request = {"repositoryName": properties["RepositoryName"]}
        self.service.call("DeleteRepository", request, cfn.stack_call())

    def _request(self, properties: dict) -> dict[str, Any]:
        refuse_unhonoured(RESOURCE_TYPE, HONOURED, properties)
        operation = self.service.model.operation_model("CreateRepository")
        return cfn.to_request(properties, operation, RESOURCE_TYPE)


def _attributes(record: dict[str, Any]) -> tuple[str, dict]:
    return record["repositoryId"], {
        "Arn": record["Arn"],
        "Name": record["repositoryName"],
        "CloneUrlHttp": record["cloneUrlHttp"],
        "CloneUrlSsh": f"ssh://git-codecommit/v1/repos/{record['repositoryName']}",
    }

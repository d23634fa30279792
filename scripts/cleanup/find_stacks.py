"""Looks for the two stacks, and for what they own or owned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from cleanup.aws import Aws
from cleanup.names import Names, stack_number
from cleanup.plan import Resource


class Stacks:
    """The stacks of one UniqueID, whatever they are called, and the ones deleted lately."""

    def __init__(self, aws: Aws, names: Names, stack_names: Iterable[str]) -> None:
        self.aws = aws
        self.names = names
        self.stack_names = frozenset(stack_names)  # under which deleted ones are looked up
        self.api_ids: set[str] = set()
        self.log_roles: set[str] = set()
        self.keys: set[str] = set()
        self._owners: dict[str, str] = {}
        self._known: set[str] = set()  # ids of deleted stacks whose resources were read

    def look(self) -> Iterator[Resource]:
        """Yield the stacks that exist, and remember what they and deleted ones are made of."""
        self._owners.clear()
        for stack in self.aws.pages("cloudformation", "describe_stacks", "Stacks"):
            number = stack_number(stack.get("Description", ""))
            if number and self._is_ours(stack):
                self._remember(stack["StackId"], stack["StackName"])
                yield Resource(
                    f"stack {number}", stack["StackName"], stack["StackId"], stack["StackStatus"]
                )
        self._remember_deleted()

    def owner(self, *identifiers: str) -> str:
        """Return the name of the stack that holds a resource of one of these names or ids."""
        return next((self._owners[i] for i in identifiers if i in self._owners), "")

    def remember_api(self, api_id: str) -> None:
        """Note an API whose log groups will be ours when it is gone."""
        self.api_ids.add(api_id)

    def _is_ours(self, stack: dict[str, Any]) -> bool:
        parameters = {
            p["ParameterKey"]: p.get("ParameterValue") for p in stack.get("Parameters", [])
        }
        return parameters.get("UniqueID") == self.names.unique_id

    def _remember_deleted(self) -> None:
        """CloudFormation tells of a deleted stack for 90 days, by its id."""
        listed = self.aws.pages(
            "cloudformation",
            "list_stacks",
            "StackSummaries",
            StackStatusFilter=["DELETE_COMPLETE"],
        )
        for summary in listed:
            stack_id = summary["StackId"]
            if summary["StackName"] not in self.stack_names or stack_id in self._known:
                continue
            self._known.add(stack_id)
            client = self.aws.client("cloudformation")
            try:
                (stack,) = client.describe_stacks(StackName=stack_id)["Stacks"]
            except ClientError:
                continue  # forgotten by now
            if stack_number(stack.get("Description", "")) and self._is_ours(stack):
                self._remember(stack_id, "")

    def _remember(self, stack_id: str, owner: str) -> None:
        resources = self.aws.pages(
            "cloudformation",
            "list_stack_resources",
            "StackResourceSummaries",
            StackName=stack_id,
        )
        for resource in resources:
            physical = resource.get("PhysicalResourceId", "")
            if owner and resource["ResourceStatus"] != "DELETE_COMPLETE":
                self._owners[physical] = owner
                self._owners[physical.rsplit("/", 1)[-1]] = owner  # some types give their ARN
            if resource["ResourceType"] == "AWS::ApiGateway::RestApi":
                self.api_ids.add(physical)
            if resource["ResourceType"] == "AWS::KMS::Key":
                self.keys.add(physical)
            if resource["LogicalResourceId"] == "ApiGatewayLogRole":
                self.log_roles.add(physical)

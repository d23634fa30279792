"""Looks for the two stacks, and for what they own or owned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from cleanup.aws import Aws
from cleanup.names import Names, stack_number
from cleanup.plan import Resource


class Stacks:
    """The stacks of one UniqueID, whatever they are called, and the ones deleted lately."""

    def __init__(self, aws: Aws, names: Names, stack_names: Mapping[str, int]) -> None:
        self.aws = aws
        self.names = names
        self.stack_names = stack_names  # name → 1 or 2; deleted stacks are looked up by these
        self.api_ids: set[str] = set()
        self.log_roles: set[str] = set()
        self.keys: set[str] = set()
        self._owners: dict[str, str] = {}
        self._known: set[str] = set()  # ids of deleted stacks whose resources were read

    def look(self) -> Iterator[Resource]:
        """Yield the stacks that exist, and remember what they and deleted ones are made of."""
        self._owners.clear()
        for stack in self.aws.pages("cloudformation", "describe_stacks", "Stacks"):
            number = self._number(stack)
            if number:
                self._remember(stack["StackId"], stack["StackName"])
                yield Resource(
                    f"stack {number}", stack["StackName"], stack["StackId"], stack["StackStatus"]
                )
        self._remember_deleted()

    def owner(self, *identifiers: str) -> str:
        """Return the name of the stack that holds a resource of one of these names or ids."""
        known = (self._owners.get(identifier.lower()) for identifier in identifiers)
        return next(filter(None, known), "")

    def remember_api(self, api_id: str) -> None:
        """Note an API whose log groups will be ours when it is gone."""
        self.api_ids.add(api_id)

    def _number(self, stack: dict[str, Any]) -> int | None:
        """Return 1 or 2 for a stack of ours, by its name or its template's description."""
        given = {p["ParameterKey"]: p.get("ParameterValue") for p in stack.get("Parameters", [])}
        if given.get("UniqueID") != self.names.unique_id:
            return None
        by_name = self.stack_names.get(stack["StackName"])
        return by_name or stack_number(stack.get("Description", ""))

    def _remember_deleted(self) -> None:
        """CloudFormation tells of a deleted stack for 90 days, by its id; its events name all."""
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
            if not self._number(stack):
                continue
            events = self.aws.pages(
                "cloudformation", "describe_stack_events", "StackEvents", StackName=stack_id
            )
            for event in events:
                self._note(event)

    def _remember(self, stack_id: str, owner: str) -> None:
        resources = self.aws.pages(
            "cloudformation",
            "list_stack_resources",
            "StackResourceSummaries",
            StackName=stack_id,
        )
        for resource in resources:
            self._note(resource)
            if resource["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            physical = resource.get("PhysicalResourceId", "").lower()
            # Some types give their ARN, and SageMaker's ARNs are in lower case.
            for identifier in (physical, physical.rsplit("/", 1)[-1]):
                self._owners[identifier] = owner

    def _note(self, resource: dict[str, Any]) -> None:
        """Keep the ids that no name tells: what they lead to stays when their stack has gone."""
        physical = resource.get("PhysicalResourceId", "")
        if not physical:
            return
        if resource["ResourceType"] == "AWS::ApiGateway::RestApi":
            self.api_ids.add(physical)
        if resource["ResourceType"] == "AWS::KMS::Key":
            self.keys.add(physical)
        if resource["LogicalResourceId"] == "ApiGatewayLogRole":
            self.log_roles.add(physical)

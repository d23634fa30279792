"""Deleting a stack and waiting for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cleanup.aws import Aws
from cleanup.plan import Resource
from cleanup.waiting import Waiter

DELETABLE_WHILE_BUSY = frozenset({"CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"})
PATIENCE = 3  # looks at an old DELETE_FAILED before it counts as the answer to this deletion


class StackStays(RuntimeError):
    """CloudFormation could not delete a stack; carries its reasons."""


def delete_stack(aws: Aws, stack: Resource, wait: Waiter) -> None:
    """Delete a stack by its id and wait; StackStays with the resources that would not go."""
    client = aws.client("cloudformation")
    verdict = _Verdict()

    def ask() -> None:
        client.delete_stack(StackName=stack.ref)
        verdict.asked = True

    def is_done(status: str) -> bool:
        if verdict.is_failed(status):
            raise StackStays(f"{stack.name} is DELETE_FAILED: {_reasons(aws, stack)}")
        return status == "DELETE_COMPLETE"

    wait.drive(
        stack.name,
        lambda: client.describe_stacks(StackName=stack.ref)["Stacks"][0]["StackStatus"],
        ask,
        is_done,
        hold=_cannot_be_deleted_yet,
    )


def _cannot_be_deleted_yet(status: str) -> bool:
    return status.endswith("_IN_PROGRESS") and status not in DELETABLE_WHILE_BUSY


@dataclass
class _Verdict:
    """Tells an earlier deletion's failure, which we came to repeat, from our own."""

    asked: bool = False
    moved: bool = False
    failures: list[str] = field(default_factory=list)

    def is_failed(self, status: str) -> bool:
        self.moved = self.moved or (self.asked and status == "DELETE_IN_PROGRESS")
        if not self.asked or status != "DELETE_FAILED":
            return False
        self.failures.append(status)
        return self.moved or len(self.failures) > PATIENCE


def _reasons(aws: Aws, stack: Resource) -> str:
    resources = aws.pages(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack.ref
    )
    failed = [
        f"{r['LogicalResourceId']}: {r.get('ResourceStatusReason', 'no reason given')}"
        for r in resources
        if r["ResourceStatus"] == "DELETE_FAILED"
    ]
    return "; ".join(failed) or "CloudFormation names no resource; see its events"

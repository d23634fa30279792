#!/usr/bin/env python3
"""Creates or updates one of the two stacks and waits for it, as the console's Create Stack does.

Usage: stacks.py deploy STACK TEMPLATE [--bucket BUCKET] [Key=Value …]
       stacks.py output STACK KEY

With --bucket the template goes there first and CloudFormation reads it by URL: TemplateBody ends
at 51,200 bytes. Parameters that an update leaves out keep their values.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
FIRST_POLL_S, POLL_S = 0.1, 2.0  # the pause grows from the first to the second
AWS_ERRORS = (BotoCoreError, ClientError, Boto3Error)  # the last is what an upload fails with
TEMPLATE_BODY_LIMIT = 51_200  # bytes, CloudFormation quotas
Report = Callable[[str], None]


class StackError(RuntimeError):
    """A stack did not reach its goal; the message carries CloudFormation's own reason."""


def key_values(pairs: Sequence[str]) -> dict[str, str]:
    """Read `Key=Value` words; a value may be empty, a word without a sign is an error."""
    for pair in pairs:
        if "=" not in pair:
            raise StackError(f"{pair!r} is no Key=Value; a value is written without spaces")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


class Stacks:
    """CloudFormation with the few calls that this project needs."""

    def __init__(self, cloudformation: Any, s3: Any, report: Report = print) -> None:
        self.cloudformation = cloudformation
        self.s3 = s3
        self.report = report

    def deploy(
        self, name: str, template: Path, parameters: dict[str, str], bucket: str | None = None
    ) -> dict[str, str]:
        """Create the stack or update it, wait, and return its outputs; StackError says why not."""
        existing = self.describe(name)
        if existing and existing["StackStatus"] == "ROLLBACK_COMPLETE":
            raise StackError(
                f"{name} is ROLLBACK_COMPLETE: its creation failed, so it can only be deleted. "
                f"Delete this stack alone (aws cloudformation delete-stack --stack-name {name}), "
                "then deploy again"
            )
        kind = "UPDATE" if existing else "CREATE"
        change_set = self._create_change_set(name, kind, template, parameters, existing, bucket)
        if change_set is None:
            self.report(f"{name}: nothing to change")
            return self.outputs(name)
        started = time.time()
        self.cloudformation.execute_change_set(ChangeSetName=change_set)
        self._wait(name, f"{kind}_COMPLETE", started)
        return self.outputs(name)

    def describe(self, name: str) -> dict[str, Any] | None:
        """Return the stack's description, None if there is none."""
        try:
            found = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] in {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"} else found

    def outputs(self, name: str) -> dict[str, str]:
        """Return output key → value; StackError if the stack is missing."""
        stack = self.describe(name)
        if stack is None:
            raise StackError(f"there is no stack {name!r}; deploy it first")
        return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

    def _create_change_set(
        self,
        name: str,
        kind: str,
        template: Path,
        parameters: dict[str, str],
        existing: dict[str, Any] | None,
        bucket: str | None,
    ) -> str | None:
        """Return the change set's ARN, None if it changes nothing."""
        kept = {p["ParameterKey"] for p in (existing or {}).get("Parameters", [])}
        declared = {
            p["ParameterKey"]
            for p in self.cloudformation.get_template_summary(**self._source(template, bucket))[
                "Parameters"
            ]
        }
        request = {
            **self._source(template, bucket),
            "StackName": name,
            "ChangeSetName": f"deploy-{int(time.time())}",
            "ChangeSetType": kind,
            "Capabilities": CAPABILITIES,
            "Parameters": [
                *({"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()),
                *(
                    {"ParameterKey": k, "UsePreviousValue": True}
                    for k in sorted((kept & declared) - parameters.keys())
                ),
            ],
        }
        arn: str = self.cloudformation.create_change_set(**request)["Id"]
        try:
            waiter = self.cloudformation.get_waiter("change_set_create_complete")
            waiter.wait(ChangeSetName=arn, WaiterConfig={"Delay": POLL_S, "MaxAttempts": 150})
        except WaiterError as error:
            reason = error.last_response.get("StatusReason", str(error))
            self.cloudformation.delete_change_set(ChangeSetName=arn)
            if "didn't contain changes" in reason or "No updates" in reason:
                return None
            raise StackError(f"{name}: CloudFormation refused the change: {reason}") from error
        return arn

    def _source(self, template: Path, bucket: str | None) -> dict[str, str]:
        body = template.read_bytes()
        if bucket is None:
            if len(body) > TEMPLATE_BODY_LIMIT:
                raise StackError(
                    f"{template} has {len(body)} bytes, more than TemplateBody's "
                    f"{TEMPLATE_BODY_LIMIT}; name a bucket for it (--bucket)"
                )
            return {"TemplateBody": body.decode()}
        key = f"templates/{hashlib.sha256(body).hexdigest()[:16]}/{template.name}"
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return {"TemplateURL": f"{self.s3.meta.endpoint_url}/{bucket}/{key}"}

    def _wait(self, name: str, goal: str, started: float) -> None:
        seen: set[str] = set()
        pause_s = FIRST_POLL_S
        while True:
            for event in self._events(name, started):
                if event["EventId"] not in seen:
                    seen.add(event["EventId"])
                    self.report(_line(event))
            stack = self.describe(name)
            status = stack["StackStatus"] if stack else "DELETED"
            if status == goal:
                return
            if not status.endswith(("_IN_PROGRESS", "_CLEANUP_IN_PROGRESS")):
                raise StackError(f"{name} ended as {status}: {self._first_failure(name, started)}")
            time.sleep(pause_s)
            pause_s = min(POLL_S, pause_s * 1.5)

    def _events(self, name: str, started: float) -> Iterator[dict[str, Any]]:
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
        events = [e for page in pages for e in page["StackEvents"]]
        yield from (e for e in reversed(events) if e["Timestamp"].timestamp() >= started - 1)

    def _first_failure(self, name: str, started: float) -> str:
        for event in self._events(name, started):
            if event["ResourceStatus"].endswith("_FAILED"):
                return f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '?')}"
        return "CloudFormation gave no reason"


def _line(event: dict[str, Any]) -> str:
    reason = event.get("ResourceStatusReason", "")
    line = f"{event['ResourceStatus']:<22}{event['LogicalResourceId']} ({event['ResourceType']})"
    return f"{line} {reason}".rstrip()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    deploy = commands.add_parser("deploy")
    deploy.add_argument("stack")
    deploy.add_argument("template", type=Path)
    deploy.add_argument("parameters", nargs="*", metavar="Key=Value")
    deploy.add_argument("--bucket")
    output = commands.add_parser("output")
    output.add_argument("stack")
    output.add_argument("key")
    return parser.parse_args()


def main() -> int:
    """Run one command; errors are told in one line."""
    options = _arguments()
    try:
        stacks = Stacks(boto3.client("cloudformation"), boto3.client("s3"))
        if options.command == "output":
            print(stacks.outputs(options.stack)[options.key])
            return 0
        parameters = key_values(options.parameters)
        outputs = stacks.deploy(options.stack, options.template, parameters, options.bucket)
    except KeyError as error:
        print(f"{options.stack} has no output {error}", file=sys.stderr)
        return 1
    except (StackError, *AWS_ERRORS) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    for key, value in outputs.items():
        print(f"{key} = {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

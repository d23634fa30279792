#!/usr/bin/env python3
"""Deletes everything of one UniqueID from an AWS account and region, and nothing else.

Usage: clean_up.py --unique-id kmm [--prep-stack NAME] [--pipeline-stack NAME] [--yes]

It lists what it will delete, asks once, and can be run again after any failure or interruption.
Exit code 0: nothing is left but what it says stays on purpose; 1: something is left; 2: not begun.
"""

from __future__ import annotations

import argparse
import sys

from botocore.exceptions import BotoCoreError, ClientError
from cleanup.aws import Aws
from cleanup.effects import Effects
from cleanup.find import Finder
from cleanup.names import Names
from cleanup.plan import Found, plan
from cleanup.rounds import clean
from cleanup.tell import outcome_lines, plan_lines, stay_lines

CLEAN, LEFT, NOT_BEGUN, INTERRUPTED = 0, 1, 2, 130


def main() -> int:
    """Look, tell, ask, delete, tell."""
    options = _arguments()
    try:
        names, aws = Names(options.unique_id), Aws()
        finder = Finder(aws, names, {options.prep_stack: 1, options.pipeline_stack: 2})
        say(f"Account {aws.caller['Account']}, {aws.region}, as {aws.caller['Arn']}")
        found = finder.look()
    except (ValueError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return NOT_BEGUN
    _say_plan(names, found)
    if not found.to_delete:
        return LEFT if found.unseen else CLEAN
    if not options.yes and not _agrees(names.unique_id):
        say("Nothing was deleted.")
        return NOT_BEGUN
    try:
        outcome = clean(found, finder.look, Effects(aws).do, say)
    except KeyboardInterrupt:
        say("\nInterrupted. Run it again to go on; what is done stays done.")
        return INTERRUPTED
    say("\n" + "\n".join(outcome_lines(outcome)))
    return CLEAN if outcome.is_clean else LEFT


def say(line: str) -> None:
    """Print a line at once, for who watches through a pipe."""
    print(line, flush=True)


def _say_plan(names: Names, found: Found) -> None:
    steps = plan_lines(plan(found.resources))
    if steps:
        say(f"To delete, in this order, all of UniqueID {names.unique_id}:\n" + "\n".join(steps))
    else:
        say(f"Nothing of UniqueID {names.unique_id} is here.")
    for line in stay_lines(found):
        say(line)


def _agrees(unique_id: str) -> bool:
    try:
        answer = input(f"The data, models and code in it are lost. Type {unique_id} to delete it: ")
    except EOFError:
        answer = ""
        say("")
    return answer.strip() == unique_id


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--unique-id", required=True, help="the UniqueID of both stacks")
    parser.add_argument("--prep-stack", default="MLOps-Ethnicity-Prediction")
    parser.add_argument("--pipeline-stack", default="MLOps-BYO-BuildPipeline")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

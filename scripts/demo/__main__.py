"""Run the demo: `make demo`, or `python -m demo [--port N] [--data PATH] [--once] [Key=Value …]`.

`Key=Value` sets a parameter of stack 2: a gate's limit, the hyperparameters. The variables
LOCAL_CLOUD_ENGINE, BASE_IMAGE and TORCH_INDEX_URL say how images are built.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from local_cloud.engines import NoEngine
from local_cloud.launcher import LocalCloudError, RunningCloud
from rich.console import Console
from stacks import AWS_ERRORS, StackError, key_values

from demo.calls import GitError
from demo.data_set import DataError
from demo.story import ROOT, StepFailed, Story, curl_line, push_lines

INTERRUPTED = 130  # what shells report after Ctrl-C
FAILURES = (
    StepFailed,
    StackError,
    LocalCloudError,
    NoEngine,
    GitError,
    DataError,
    *AWS_ERRORS,
)


def play(story: Story) -> None:
    """Run every step; raises one of FAILURES."""
    story.lint()
    story.deploy_prep()
    prefix = story.package_lambdas()
    story.deploy_pipeline(prefix)
    story.first_run()
    story.upload_data()
    released = story.follow(story.commit())
    story.call_api("dev")
    if released:
        story.call_api("prod")
    story.score_held_out()


def epilogue(story: Story) -> None:
    """Tell what works now, with lines to paste."""
    story.step("✓", "The API answers")
    story.say("Ask it yourself:\n")
    story.console.print(curl_line(story.cloud.url), style="bold", soft_wrap=True, highlight=False)
    story.say("\nChange the model: clone the repository, edit, push, and watch a new run:\n")
    story.console.print(push_lines(story), style="bold", soft_wrap=True, highlight=False)
    drawn = "" if story.data_source else " The embedded data are drawn glyphs."
    story.say(
        f"\n[dim]A photograph cannot establish a person's ethnicity.{drawn} See README.md, "
        "Intended use and limits.[/]"
    )


def main() -> int:
    """Parse, play, stay up; every process ends with this one."""
    options = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 110)
    work = ROOT / f"build/demo-{options.port}"
    cloud = RunningCloud(work / "cloud", options.port)
    tools = ROOT / ".tools/aws/bin"
    story = Story(cloud, console, options.data, work, tools, parameters=options.parameters)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` sets it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        cloud.refuse_a_taken_port()
        shutil.rmtree(work, ignore_errors=True)
        with cloud:
            play(story)
            epilogue(story)
            if not options.once:
                story.say("\nThe local cloud stays up; Ctrl-C ends it.")
                _wait_for_interrupt()
    except KeyboardInterrupt:
        cloud.stop()  # one that came between the start and the `with` has left it up
        console.print("\nInterrupted: the local cloud and all its processes have ended.")
        return INTERRUPTED
    except FAILURES as error:
        console.print(f"\n[bold red]The demo stopped:[/] {error}", highlight=False, soft_wrap=True)
        console.print(f"[dim]The local cloud's own log: {cloud.log}[/]", soft_wrap=True)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--data", type=Path, help="a pixel CSV or an image folder")
    parser.add_argument("--once", action="store_true", help="exit once the API has answered")
    parser.add_argument("parameters", nargs="*", metavar="Key=Value", help="of stack 2")
    options = parser.parse_args()
    try:
        options.parameters = key_values(options.parameters)
    except StackError as error:
        parser.error(str(error))
    return options


def _wait_for_interrupt() -> None:
    while True:
        time.sleep(3600)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)

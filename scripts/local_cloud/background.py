"""Threads that act for the request which started them, and the pace of AWS's own waiting times."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

TIME_SCALE = "LOCAL_CLOUD_TIME_SCALE"


def spawn(name: str, function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    """Run a function in a daemon thread that keeps the account, region and caller in hand."""
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(function, *arguments), name=name, daemon=True
    )
    thread.start()
    return thread


def together(functions: Iterable[Callable[[], Any]]) -> None:
    """Run functions at the same time; when all have ended, raise the first error there was."""
    errors: list[BaseException] = []

    def run(function: Callable[[], Any]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    for thread in [spawn("together", run, function) for function in functions]:
        thread.join()
    if errors:
        raise errors[0]


async def answer_in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a thread of its own and await its result.

    Unlike asyncio.to_thread it cannot run out of threads (a request that waits for a container, or
    for another service of the local cloud, would block them all) and holds up no exit.
    """
    loop = asyncio.get_running_loop()
    result = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        if not result.done():
            setter(value)

    def run() -> None:
        try:
            outcome = (result.set_result, function(*arguments))
        except Exception as error:
            outcome = (result.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, *outcome)

    spawn("request", run)
    return await result


def time_scale() -> float:
    """Return the factor on AWS's own waiting times: LOCAL_CLOUD_TIME_SCALE, 1 by default.

    It shortens what only the clock decides: baking and termination waits of a deployment, the
    periods of alarms, the status changes of notebook instances. Limits that a real program must
    keep (a job's MaxRuntimeInSeconds, health checks, the time to end after SIGTERM) stay as given.
    """
    text = os.environ.get(TIME_SCALE, "1")
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if scale <= 0:
        raise ValueError(f"{TIME_SCALE} is {text!r}; set it to a number above 0, such as 0.01")
    return scale

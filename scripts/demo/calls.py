"""How the demo talks to what it built: git, the HTTP API, and the endpoint."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from demo.data_set import Row

CSV_BATCH = 200
IMAGE_BATCH = 50
# git tells a helper to `store` and `erase`, too; the AWS CLI's knows `get` alone.
CREDENTIAL_HELPER = (
    '!f() { test "$1" != get || aws codecommit credential-helper --ignore-host-check get; }; f'
)


class GitError(RuntimeError):
    """git refused; the message is git's own."""


def git(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run git in a folder as the demo's own committer; GitError with git's words if it fails."""
    settings = [
        *("-c", f"credential.helper={CREDENTIAL_HELPER}"),
        *("-c", "credential.UseHttpPath=true"),
        *("-c", "user.name=Demo"),
        *("-c", "user.email=demo@example.com"),
    ]
    clean = environment | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = ["git", *settings, *arguments]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    if done.returncode:
        raise GitError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def post_json(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """POST a JSON body, unsigned, as curl does; return the status and the JSON answer."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def predict(runtime: Any, endpoint: str, rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield (true label, predicted label) for each row, asked of the endpoint in batches."""
    for content_type, group in groupby(rows, key=lambda row: row.content_type):
        size = CSV_BATCH if content_type == "text/csv" else IMAGE_BATCH
        while batch := list(islice(group, size)):
            yield from zip(
                (row.label for row in batch), _ask(runtime, endpoint, batch), strict=True
            )


def _ask(runtime: Any, endpoint: str, batch: list[Row]) -> list[str]:
    if batch[0].content_type == "text/csv":
        content_type, body = "text/csv", b"\n".join(row.body for row in batch)
    else:
        content_type = "application/json"
        instances = [{"image": base64.b64encode(row.body).decode()} for row in batch]
        body = json.dumps({"instances": instances}).encode()
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType=content_type, Accept="application/json", Body=body
    )
    return [p["predict"] for p in json.load(answer["Body"])["predictions"]]

"""Commits this folder to the workshop's CodeCommit repository and pushes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.workshop import Workshop

# The AWS CLI signs git's requests with the notebook's own role. An empty helper first forgets
# any other. The host need not be looked at twice: push() compares the whole URL. git tells a helper
# to `store` and `erase`, too; the AWS CLI's knows `get` alone.
HELPERS = (
    "",
    '!f() { test "$1" != get || aws codecommit credential-helper --ignore-host-check get; }; f',
)
UNTRACKED = tuple(f":(exclude,glob)**/{name}/**" for name in ("__pycache__", ".ipynb_checkpoints"))
COMMITTER = {"user.name": "Lab notebook", "user.email": "lab-notebook@example.com"}


def push(workshop: Workshop, message: str, folder: Path = Path()) -> str:
    """Commit all of the folder, push it to the branch that the pipeline reads; return the commit.

    With nothing new to commit it pushes what is there, so the cell can be run again.
    """
    _check_clone(workshop, folder)
    git(folder, "add", "--all", "--", ".", *UNTRACKED)
    if git(folder, "diff", "--cached", "--name-only"):
        git(folder, *_committer(folder), "commit", "--quiet", "--message", message)
    commit = git(folder, "rev-parse", "HEAD")
    git(folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch(workshop)}")
    print(git(folder, "show", "--stat", "--format=%h %s", "--stat-count=12", commit))
    return commit


def branch(workshop: Workshop) -> str:
    """Return the branch that the pipeline's source reads."""
    return workshop.parameters["RepositoryBranch"]


def git(folder: Path, *arguments: str) -> str:
    """Run git in the folder; LabError with git's own words if it fails."""
    helpers = [part for helper in HELPERS for part in ("-c", f"credential.helper={helper}")]
    command = ["git", *helpers, "-c", "credential.UseHttpPath=true", *arguments]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"git {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def _check_clone(workshop: Workshop, folder: Path) -> None:
    if shutil.which("aws") is None:
        raise LabError("the AWS CLI is not on PATH; git needs it to sign in to CodeCommit")
    url = workshop.outputs["RepositoryCloneUrl"]
    try:
        origin = git(folder, "remote", "get-url", "origin")
    except LabError as error:
        raise LabError(
            f"{folder.resolve()} is no clone of {url} ({error}). Copy the staged files into the "
            "clone and open the notebook there: "
            "cp -R ~/SageMaker/byo-staging/* ~/SageMaker/ethnicity-pred-repo/"
        ) from error
    if origin != url:
        raise LabError(f"{folder.resolve()} is a clone of {origin}, the pipeline reads {url}")


def _committer(folder: Path) -> list[str]:
    """Return settings for a committer where git knows none yet."""
    settings: list[str] = []
    for key, value in COMMITTER.items():
        try:
            git(folder, "config", key)
        except LabError:
            settings += ["-c", f"{key}={value}"]
    return settings

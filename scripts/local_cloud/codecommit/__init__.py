"""CodeCommit: real git repositories, and an event for each branch that moves."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from local_cloud import identity, seams, state
from local_cloud.codecommit.resource import RepositoryResource
from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured
from local_cloud.service import Call, JsonService, Need

COMMIT_ID = re.compile(r"[0-9a-f]{40}")
HONOURED = members("repositoryName", "repositoryDescription")


class CodeCommit(JsonService):
    """Repositories are bare git repositories in the state folder."""

    name: ClassVar[str] = "codecommit"

    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, dict[str, Any]] = {}

    def install(self) -> None:
        """Register the service and its CloudFormation type."""
        super().install()
        RepositoryResource(self).install()

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Scope every operation to the repository that it names."""
        name = request.get("repositoryName") or request.get("oldName")
        resource = self.arn(name, call.account, call.region) if name else "*"
        return [Need(f"codecommit:{operation}", resource)]

    @staticmethod
    def arn(name: str, account: str, region: str) -> str:
        """Return a repository's ARN."""
        return f"arn:aws:codecommit:{region}:{account}:{name}"

    def path(self, name: str) -> Path:
        """Return the bare repository's folder; RepositoryDoesNotExist if there is none."""
        self._find(name)
        return state.folder("codecommit") / f"{name}.git"

    def create_repository(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codecommit:CreateRepository", HONOURED, request)
        name = request["repositoryName"]
        self._refuse_a_taken_name(name)
        now = time.time()
        self.repositories[name] = {
            "repositoryName": name,
            "repositoryId": str(uuid.uuid4()),
            "repositoryDescription": request.get("repositoryDescription", ""),
            "accountId": call.account,
            "creationDate": now,
            "lastModifiedDate": now,
            **self._places(name, call),
        }
        bare = self.path(name)
        shutil.rmtree(bare, ignore_errors=True)
        git("init", "--quiet", "--bare", "--initial-branch", "master", str(bare))
        git("-C", str(bare), "config", "http.receivepack", "true")
        return {"repositoryMetadata": self.repositories[name]}

    def get_repository(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"repositoryMetadata": self._find(request["repositoryName"])}

    def list_repositories(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return {
            "repositories": [
                {"repositoryName": name, "repositoryId": record["repositoryId"]}
                for name, record in sorted(self.repositories.items())
            ]
        }

    def list_branches(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return {"branches": sorted(self.heads(request["repositoryName"]))}

    def get_branch(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        branch = request["branchName"]
        heads = self.heads(request["repositoryName"])
        if branch not in heads:
            raise ApiError(
                "BranchDoesNotExistException", f"{branch} does not exist in the repository"
            )
        return {"branch": {"branchName": branch, "commitId": heads[branch]}}

    def get_commit(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        bare, commit = self.path(request["repositoryName"]), request["commitId"]
        if not COMMIT_ID.fullmatch(commit):
            raise ApiError(
                "InvalidCommitIdException",
                f"{commit} is no commit ID: give all 40 hexadecimal digits",
            )
        fields = "%H%n%T%n%P%n%an%n%ae%n%at +0000%n%cn%n%ce%n%ct +0000%n%B"
        shown = git(
            "-C", str(bare), "show", "--no-patch", f"--format={fields}", commit, check=False
        )
        if shown.returncode:
            raise ApiError("CommitIdDoesNotExistException", f"Commit {commit} does not exist")
        lines = shown.stdout.splitlines()
        author = dict(zip(("name", "email", "date"), lines[3:6], strict=True))
        committer = dict(zip(("name", "email", "date"), lines[6:9], strict=True))
        return {
            "commit": {
                "commitId": lines[0],
                "treeId": lines[1],
                "parents": lines[2].split(),
                "author": author,
                "committer": committer,
                "message": "\n".join(lines[9:]).strip(),
            }
        }

    def update_repository_name(self, request: dict[str, Any], call: Call) -> None:
        old, new = request["oldName"], request["newName"]
        record, bare = self._find(old), self.path(old)
        if new == old:
            return
        self._refuse_a_taken_name(new)
        self.repositories[new] = self.repositories.pop(old)
        record.update(repositoryName=new, lastModifiedDate=time.time(), **self._places(new, call))
        bare.rename(self.path(new))

    def update_repository_description(self, request: dict[str, Any], call: Call) -> None:
        record = self._find(request["repositoryName"])
        record["repositoryDescription"] = request.get("repositoryDescription", "")
        record["lastModifiedDate"] = time.time()

    def delete_repository(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.repositories.get(request["repositoryName"])
        if record is None:
            return {}
        shutil.rmtree(self.path(record["repositoryName"]), ignore_errors=True)
        del self.repositories[record["repositoryName"]]
        return {"repositoryId": record["repositoryId"]}

    def heads(self, name: str) -> dict[str, str]:
        """Return branch → commit id of a repository."""
        listing = git(
            "-C",
            str(self.path(name)),
            "for-each-ref",
            "--format=%(refname) %(objectname)",
            "refs/heads",
        ).stdout
        pairs = (line.split() for line in listing.splitlines())
        return {ref.removeprefix("refs/heads/"): commit for ref, commit in pairs}

    def archive(self, name: str, commit: str) -> bytes:
        """Return the commit's files as a ZIP, as CodePipeline's source action stores them."""
        command = ["git", "-C", str(self.path(name)), "archive", "--format=zip", commit]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def announce(self, name: str, before: dict[str, str], caller_arn: str) -> None:
        """Emit one state-change event for each branch that differs from `before`."""
        after = self.heads(name)
        record = self._find(name)
        if after and "defaultBranch" not in record:
            self._set_default_branch(record, min(after))
        for branch in sorted(before.keys() | after.keys()):
            old, new = before.get(branch), after.get(branch)
            if old == new:
                continue
            event = "referenceUpdated" if old and new else "referenceCreated"
            detail = {
                "event": event if new else "referenceDeleted",
                "callerUserArn": caller_arn,
                "repositoryName": name,
                "repositoryId": record["repositoryId"],
                "referenceType": "branch",
                "referenceName": branch,
                "referenceFullName": f"refs/heads/{branch}",
                **({"commitId": new} if new else {}),
                **({"oldCommitId": old} if old else {}),
            }
            seams.emit_event(
                "aws.codecommit", "CodeCommit Repository State Change", detail, [record["Arn"]]
            )

    def _set_default_branch(self, record: dict[str, Any], branch: str) -> None:
        """Make the first branch that was pushed the one that a clone checks out."""
        record["defaultBranch"] = branch
        bare = self.path(record["repositoryName"])
        git("-C", str(bare), "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def _places(self, name: str, call: Call) -> dict[str, str]:
        return {
            "Arn": self.arn(name, call.account, call.region),
            "cloneUrlHttp": f"{identity.endpoint_url()}/v1/repos/{name}",
        }

    def _refuse_a_taken_name(self, name: str) -> None:
        if name in self.repositories:
            raise ApiError(
                "RepositoryNameExistsException", f"Repository named {name} already exists"
            )

    def _find(self, name: str) -> dict[str, Any]:
        if name not in self.repositories:
            raise ApiError("RepositoryDoesNotExistException", f"{name} does not exist")
        return self.repositories[name]


def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git, without the user's configuration."""
    return subprocess.run(
        ["git", *arguments], check=check, capture_output=True, text=True, env=git_environment()
    )


def git_environment() -> dict[str, str]:
    """Return an environment in which git reads no configuration but the repository's own."""
    import os

    return {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "HOME": str(state.root()),
    }

"""The CodeCommit source action: the branch's newest commit as a ZIP in the artifact store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from local_cloud import seams
from local_cloud.codecommit import CodeCommit
from local_cloud.codepipeline.effects import denied, is_denied, message_of, put_artifact
from local_cloud.codepipeline.model import ActionRun, Result, Revision
from local_cloud.codepipeline.work import ActionFailed, Work


class CodeCommitSource:
    """Fetches a commit. UploadArchive is no public API: only its permission is checked."""

    def __init__(self, codecommit: CodeCommit) -> None:
        self.codecommit = codecommit

    def perform(self, work: Work) -> None:
        """Store the commit's files and report the commit as revision and as variables."""
        repository = work.run.configuration["RepositoryName"]
        branch = work.run.configuration["BranchName"]
        try:
            commit = self._commit(work, repository, branch)
        except ClientError as error:
            raise _failure(work, repository, branch, error) from error
        self._authorize_upload(work, repository)
        artifact, location = next(iter(work.run.outputs.items()))
        put_artifact(work, location, self.codecommit.archive(repository, commit["commitId"]))
        message = commit["message"]
        created = float(commit["committer"]["date"].split()[0])
        work.succeed(
            Result(
                variables=_variables(repository, branch, commit),
                revision=Revision(artifact, commit["commitId"], message[:2048], created),
            )
        )

    def abandon(self, run: ActionRun) -> None:
        """Nothing goes on after perform."""

    def _commit(self, work: Work, repository: str, branch: str) -> dict[str, Any]:
        client = work.client("codecommit")
        wanted = work.execution.overrides.get(work.run.action.name)
        if wanted is None:
            found = client.get_branch(repositoryName=repository, branchName=branch)
            wanted = found["branch"]["commitId"]
        commit: dict[str, Any] = client.get_commit(repositoryName=repository, commitId=wanted)[
            "commit"
        ]
        return commit

    def _authorize_upload(self, work: Work, repository: str) -> None:
        access_key = work.credentials()["aws_access_key_id"]
        arn = self.codecommit.arn(repository, work.account, work.region)
        for action in ("codecommit:UploadArchive", "codecommit:GetUploadArchiveStatus"):
            if refused := seams.denial(access_key, action, arn):
                raise ActionFailed(
                    "PermissionError",
                    "The service role or action role doesn't have the permissions required to "
                    f"access the AWS CodeCommit repository named {repository}. Update the IAM "
                    f"role permissions, and then try again. Error: {refused[1]}",
                )


def _variables(repository: str, branch: str, commit: dict[str, Any]) -> dict[str, str]:
    return {
        "RepositoryName": repository,
        "BranchName": branch,
        "CommitId": commit["commitId"],
        "CommitMessage": commit["message"],
        "AuthorDate": _date(commit["author"]["date"]),
        "CommitterDate": _date(commit["committer"]["date"]),
    }


def _date(seconds_and_zone: str) -> str:
    moment = datetime.fromtimestamp(float(seconds_and_zone.split()[0]), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _failure(work: Work, repository: str, branch: str, error: ClientError) -> ActionFailed:
    """Word a refusal as CodePipeline does; an empty repository has no branch."""
    code = error.response["Error"]["Code"]
    if is_denied(error):
        return denied(work, f"the AWS CodeCommit repository named {repository}", error)
    if code == "BranchDoesNotExistException":
        return ActionFailed(
            "ConfigurationError",
            f"The action failed because no branch named {branch} was found in the selected AWS "
            f"CodeCommit repository {repository}. Make sure you are using the correct branch "
            "name, and then try again. Error: null",
        )
    if code == "RepositoryDoesNotExistException":
        return ActionFailed(
            "ConfigurationError",
            f"The action failed because no AWS CodeCommit repository named {repository} was "
            "found. Make sure you are using the correct repository name, and then try again. "
            "Error: null",
        )
    return ActionFailed("JobFailed", message_of(error))

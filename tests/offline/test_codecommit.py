"""CodeCommit is a real git remote: pushed to over HTTP with AWS's own credential helper."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from demo.calls import CREDENTIAL_HELPER
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

ROOT = Path(__file__).resolve().parents[2]
AWS = shutil.which("aws", path=f"{ROOT / '.tools' / 'aws' / 'bin'}{os.pathsep}{os.environ['PATH']}")
Git = Callable[..., subprocess.CompletedProcess[str]]

needs_cli = pytest.mark.skipif(AWS is None, reason="the AWS CLI is not set up (make setup)")


@pytest.fixture
def repository(cloud: RunningCloud) -> str:
    """An empty repository's clone URL."""
    name = f"repository-{uuid.uuid4().hex[:8]}"
    created = cloud.client("codecommit").create_repository(repositoryName=name)
    return created["repositoryMetadata"]["cloneUrlHttp"]


@pytest.fixture
def git(cloud: RunningCloud, tmp_path: Path) -> Git:
    """Run git in a folder with one commit, with credentials of somebody's choice."""
    variables = {
        **cloud.environment(),
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "PATH": f"{Path(AWS or '').parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(
        *arguments: str, helper: str = CREDENTIAL_HELPER, **changed: str
    ) -> subprocess.CompletedProcess[str]:
        settings = ["-c", f"credential.helper={helper}", "-c", "credential.UseHttpPath=true"]
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        return subprocess.run(
            ["git", *settings, *who, *arguments],
            cwd=tmp_path,
            env=variables | changed,
            capture_output=True,
            text=True,
        )

    run("init", "--quiet", "--initial-branch", "main")
    (tmp_path / "file.txt").write_text("first\n")
    run("add", "file.txt")
    run("commit", "--quiet", "-m", "First")
    return run


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[-1]


@needs_cli
def test_a_push_with_the_credential_helper_arrives_and_can_be_cloned(
    cloud, repository, git, tmp_path
):
    pushed = git("push", "--quiet", repository, "main")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    commit = git("rev-parse", "HEAD").stdout.strip()
    branch = cloud.client("codecommit").get_branch(
        repositoryName=name_of(repository), branchName="main"
    )
    assert branch["branch"]["commitId"] == commit
    about = cloud.client("codecommit").get_repository(repositoryName=name_of(repository))
    assert about["repositoryMetadata"]["defaultBranch"] == "main"
    told = cloud.client("codecommit").get_commit(
        repositoryName=name_of(repository), commitId=commit
    )
    assert told["commit"]["message"] == "First"
    cloned = git("clone", "--quiet", repository, "cloned")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "cloned" / "file.txt").read_text() == "first\n"


@needs_cli
def test_each_branch_that_moves_raises_one_event(repository, git, rule, eventually):
    arn = f"arn:aws:codecommit:{REGION}:{ACCOUNT}:{name_of(repository)}"
    receive = rule({"source": ["aws.codecommit"], "resources": [arn]})
    git("branch", "other")
    assert git("push", repository, "main", "other").returncode == 0
    created = eventually(receive, 2)
    assert sorted(event["detail"]["referenceName"] for event in created) == ["main", "other"]
    assert {event["detail"]["event"] for event in created} == {"referenceCreated"}
    git("commit", "--quiet", "--allow-empty", "-m", "Second")
    assert git("push", repository, "main", "other").returncode == 0
    [updated] = eventually(receive, 1)
    assert updated["detail-type"] == "CodeCommit Repository State Change"
    assert updated["detail"]["event"] == "referenceUpdated"
    assert updated["detail"]["commitId"] == git("rev-parse", "HEAD").stdout.strip()
    assert updated["detail"]["oldCommitId"] == created[0]["detail"]["commitId"]
    assert receive() == []


@needs_cli
def test_a_wrong_secret_is_refused(repository, git):
    refused = git("push", repository, "main", AWS_SECRET_ACCESS_KEY="wrong")
    assert refused.returncode != 0
    assert "Authentication failed" in refused.stderr


def test_a_push_without_credentials_is_refused(repository, git):
    refused = git("-c", "credential.helper=", "push", repository, "main", PATH=os.environ["PATH"])
    assert refused.returncode != 0
    assert "could not read Username" in refused.stderr


@needs_cli
def test_a_push_needs_git_push_and_a_clone_git_pull(cloud, acting_as, allow, repository, git):
    arn = f"arn:aws:codecommit:{REGION}:{ACCOUNT}:{name_of(repository)}"
    reader = keys_of(acting_as("git-reader", allow("codecommit:GitPull", arn)))
    refused = git("push", repository, "main", **reader)
    assert "403" in refused.stderr
    assert git("ls-remote", repository, **reader).returncode == 0
    writer = keys_of(acting_as("git-writer", allow("codecommit:GitPush", arn)))
    assert "403" in git("ls-remote", repository, **writer).stderr
    listed = cloud.client("codecommit").list_branches(repositoryName=name_of(repository))
    assert listed["branches"] == []


def test_an_empty_repository_has_no_branch(cloud, repository, refusal):
    codecommit = cloud.client("codecommit")
    request = {"repositoryName": name_of(repository), "branchName": "master"}
    assert refusal(codecommit.get_branch, **request)[:2] == (400, "BranchDoesNotExistException")
    assert codecommit.list_branches(repositoryName=name_of(repository))["branches"] == []


def test_a_repository_that_is_not_there_is_named(cloud, refusal):
    codecommit = cloud.client("codecommit")
    status, code, message = refusal(codecommit.get_repository, repositoryName="nowhere")
    assert (status, code) == (400, "RepositoryDoesNotExistException")
    assert "nowhere" in message


def test_an_operation_that_is_not_emulated_says_so(cloud, refusal):
    codecommit = cloud.client("codecommit")
    status, code, message = refusal(codecommit.list_pull_requests, repositoryName="any")
    assert (status, code) == (501, "NotImplemented")
    assert "codecommit:ListPullRequests" in message


def test_a_commit_is_named_by_its_whole_id(cloud, repository, refusal):
    get = cloud.client("codecommit").get_commit
    for name in ("HEAD", "main", "0123abc", "--all"):
        status, code, _ = refusal(get, repositoryName=name_of(repository), commitId=name)
        assert (status, code) == (400, "InvalidCommitIdException"), name
    unknown = refusal(get, repositoryName=name_of(repository), commitId="0" * 40)
    assert unknown[:2] == (400, "CommitIdDoesNotExistException")


def test_what_a_repository_would_not_honour_is_refused_by_name(cloud, refusal):
    create = cloud.client("codecommit").create_repository
    for ignored in ({"tags": {"owner": "me"}}, {"kmsKeyId": "alias/mine"}):
        status, code, message = refusal(create, repositoryName="refused", **ignored)
        assert (status, code) == (501, "NotImplemented")
        assert next(iter(ignored)) in message
    cloudformation = cloud.client("cloudformation")
    properties = {
        "RepositoryName": "refused",
        "Code": {"S3": {"Bucket": "bucket", "Key": "key"}},
        "Triggers": [{"Name": "T", "DestinationArn": "arn", "Events": ["all"]}],
        "Tags": [{"Key": "owner", "Value": "me"}],
        "KmsKeyId": "alias/mine",
    }
    resource = {"Type": "AWS::CodeCommit::Repository", "Properties": properties}
    body = json.dumps({"Resources": {"Repository": resource}})
    cloudformation.create_stack(StackName="refused", TemplateBody=body, OnFailure="DO_NOTHING")
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="refused", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
    events = cloudformation.describe_stack_events(StackName="refused")["StackEvents"]
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
    assert all(name in reasons for name in ("Code", "Triggers", "Tags", "KmsKeyId")), reasons


def test_a_repository_is_a_resource_of_a_stack(cloud):
    cloudformation = cloud.client("cloudformation")
    resource = {
        "Type": "AWS::CodeCommit::Repository",
        "Properties": {"RepositoryName": "of-a-stack"},
    }
    body = {
        "Resources": {"Repository": resource},
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["Repository", "CloneUrlHttp"]}}},
    }
    cloudformation.create_stack(StackName="git-stack", TemplateBody=json.dumps(body))
    wait = {"Delay": 0.1, "MaxAttempts": 600}
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="git-stack", WaiterConfig=wait
    )
    [stack] = cloudformation.describe_stacks(StackName="git-stack")["Stacks"]
    assert stack["Outputs"][0]["OutputValue"] == f"{cloud.url}/v1/repos/of-a-stack"
    resource["Properties"] = {"RepositoryName": "renamed", "RepositoryDescription": "Moved"}
    cloudformation.update_stack(StackName="git-stack", TemplateBody=json.dumps(body))
    cloudformation.get_waiter("stack_update_complete").wait(
        StackName="git-stack", WaiterConfig=wait
    )
    renamed = cloud.client("codecommit").get_repository(repositoryName="renamed")
    assert renamed["repositoryMetadata"]["repositoryDescription"] == "Moved"
    assert renamed["repositoryMetadata"]["cloneUrlHttp"] == f"{cloud.url}/v1/repos/renamed"
    cloudformation.delete_stack(StackName="git-stack")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName="git-stack", WaiterConfig=wait
    )
    listed = cloud.client("codecommit").list_repositories()["repositories"]
    assert not {"of-a-stack", "renamed"} & {known["repositoryName"] for known in listed}


def keys_of(client: Callable[[str], Any]) -> dict[str, str]:
    keys = client("sts")._request_signer._credentials
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }

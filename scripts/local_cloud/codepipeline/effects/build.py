"""The CodeBuild action: starts a build as the role and waits for its end."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.codebuild.service import CodeBuild, PipelineOrder
from local_cloud.codepipeline.effects import denied, is_denied, message_of
from local_cloud.codepipeline.model import ActionRun, Location, Result
from local_cloud.codepipeline.work import ActionFailed, Work
from local_cloud.errors import ApiError
from local_cloud.service import Call

POLL_SECONDS = 0.5


class CodeBuildBuild:
    """Builds with the artifacts of the execution."""

    def __init__(self, codebuild: CodeBuild) -> None:
        self.codebuild = codebuild

    def perform(self, work: Work) -> None:
        """Start the build; its end is looked for from time to time."""
        credentials = work.credentials()
        call = Call(credentials["aws_access_key_id"], work.account, work.region)
        request = {
            "projectName": work.run.configuration["ProjectName"],
            "environmentVariablesOverride": _variables(work),
        }
        try:
            build = self.codebuild.start_for_pipeline(request, _order(work), call)
        except ApiError as error:
            raise ActionFailed("JobFailed", f"Error calling startBuild: {error.message}") from error
        work.run.external_id = build["id"]
        work.run.external_url = _url(work, build["id"])
        work.reporter.after(POLL_SECONDS, lambda: self._look(work))

    def abandon(self, run: ActionRun) -> None:
        """Stop the build."""
        if run.external_id in self.codebuild.runners:
            self.codebuild.runners[run.external_id].interrupt()

    def _look(self, work: Work) -> None:
        try:
            answer = work.client("codebuild").batch_get_builds(ids=[work.run.external_id])
        except ClientError as error:
            if not is_denied(error):
                raise ActionFailed("JobFailed", message_of(error)) from error
            what = f"the AWS CodeBuild build {work.run.external_id}"
            raise denied(work, what, error) from error
        build = answer["builds"][0]
        if not build["buildComplete"]:
            work.reporter.after(POLL_SECONDS, lambda: self._look(work))
        elif build["buildStatus"] == "SUCCEEDED":
            exported = build.get("exportedEnvironmentVariables", [])
            work.succeed(Result(variables={v["name"]: v["value"] for v in exported}))
        else:
            work.fail("JobFailed", _ending(build))


def _order(work: Work) -> PipelineOrder:
    name, source = next(iter(work.run.inputs.items()))
    target: Location | None = next(iter(work.run.outputs.values()), None)
    revision = work.execution.revisions.get(name)
    return PipelineOrder(
        pipeline=work.execution.pipeline.name,
        revision=revision.id if revision else "",
        source=(source.bucket, source.key),
        target=(target.bucket, target.key) if target else None,
        encryption_key=work.execution.pipeline.encryption_key,
    )


def _variables(work: Work) -> list[dict[str, Any]]:
    text = work.run.configuration.get("EnvironmentVariables")
    if not text:
        return []
    try:
        variables = json.loads(text)
    except ValueError as error:
        message = f"EnvironmentVariables is no JSON array: {error}"
        raise ActionFailed("ConfigurationError", message) from error
    if not isinstance(variables, list):
        raise ActionFailed("ConfigurationError", "EnvironmentVariables is no JSON array")
    return variables


def _ending(build: dict[str, Any]) -> str:
    """Word the end of a build as CodePipeline does, by its first phase that did not succeed."""
    ending = f"Build terminated with state: {build['buildStatus']}"
    for phase in build["phases"]:
        if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED" and phase.get("contexts"):
            context = phase["contexts"][0]
            code, message = context.get("statusCode"), context.get("message")
            return f"{ending}. Phase: {phase['phaseType']}, Code: {code}, Message: {message}"
    return ending


def _url(work: Work, build_id: str) -> str:
    console = f"https://{work.region}.console.aws.amazon.com/codesuite/codebuild"
    project = build_id.partition(":")[0]
    return f"{console}/{work.account}/projects/{project}/build/{build_id}/log"

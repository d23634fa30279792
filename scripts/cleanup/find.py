"""Looks for everything of one UniqueID. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cleanup.aws import Aws
from cleanup.find_kept import Kept
from cleanup.find_sagemaker import SageMaker
from cleanup.find_stacks import Stacks
from cleanup.names import EXECUTION_LOGS, KEPT_BUCKETS, WORKING_BUCKETS, Names, is_execution_log
from cleanup.plan import Found, Resource

RUNNING_EXECUTION = {"InProgress", "Stopping"}


class Finder:
    """Looks again and again; what a deleted stack was made of is remembered between the looks."""

    def __init__(self, aws: Aws, names: Names, stack_names: Mapping[str, int]) -> None:
        self.aws = aws
        self.names = names
        self.stacks = Stacks(aws, names, stack_names)
        self.sagemaker = SageMaker(aws, names, self.stacks.owner)
        self.kept = Kept(aws, names, self.stacks)

    def look(self) -> Found:
        """Return what there is; a service that does not answer is told, not guessed."""
        looks: dict[str, Callable[[], Iterable[Resource]]] = {
            "stacks": self.stacks.look,
            "pipelines": self._pipeline,
            "builds": self._builds,
            **self.sagemaker.looks(),
            "image repositories": self._images,
            "buckets": self._buckets,
            "functions": self._functions,
            "APIs": self._apis,
            "CodeCommit repositories": self._repository,
            "log groups": self._logs,
            **self.kept.looks(),
        }
        found: list[Resource] = []
        unseen: list[str] = []
        for what, look in looks.items():
            try:
                found += look()
            except (ClientError, BotoCoreError) as error:
                unseen.append(f"could not look for {what}: {error}")
        return Found(tuple(found), tuple(unseen))

    def _resource(self, kind: str, name: str, id: str = "", status: str = "") -> Resource:
        stack = self.stacks.owner(name, id)
        return Resource(kind, name, id, status, stack)

    def _pipeline(self) -> Iterator[Resource]:
        names = {p["name"] for p in self.aws.pages("codepipeline", "list_pipelines", "pipelines")}
        if self.names.pipeline not in names:
            return
        yield self._resource("pipeline", self.names.pipeline)
        executions = self.aws.pages(
            "codepipeline",
            "list_pipeline_executions",
            "pipelineExecutionSummaries",
            pipelineName=self.names.pipeline,
        )
        for execution in executions:
            if execution["status"] in RUNNING_EXECUTION:
                yield Resource(
                    "pipeline execution",
                    execution["pipelineExecutionId"],
                    status=execution["status"],
                    group=self.names.pipeline,
                )

    def _builds(self) -> Iterator[Resource]:
        project = self.names.build_project
        if project not in self.aws.pages("codebuild", "list_projects", "projects"):
            return
        yield self._resource("build project", project)
        ids = self.aws.pages("codebuild", "list_builds_for_project", "ids", projectName=project)
        for at in range(0, len(ids), 100):
            batch = self.aws.client("codebuild").batch_get_builds(ids=ids[at : at + 100])
            for build in batch["builds"]:
                if build["buildStatus"] == "IN_PROGRESS":
                    yield Resource("build", build["id"], status="IN_PROGRESS")

    def _images(self) -> Iterator[Resource]:
        for repository in self.aws.pages("ecr", "describe_repositories", "repositories"):
            if repository["repositoryName"] == self.names.image_repository:
                yield self._resource("image repository", repository["repositoryName"])

    def _buckets(self) -> Iterator[Resource]:
        for bucket in self.aws.pages("s3", "list_buckets", "Buckets", PaginationConfig=PAGE):
            name = bucket["Name"]
            if bucket.get("BucketRegion", self.aws.region) != self.aws.region:
                continue  # the same person's workshop in another region
            for kind, purposes in BUCKET_KINDS:
                if self.names.is_bucket(name, purposes):
                    yield self._resource(kind, name)

    def _functions(self) -> Iterator[Resource]:
        for function in self.aws.pages("lambda", "list_functions", "Functions"):
            if function["FunctionName"] in self.names.functions:
                yield self._resource("function", function["FunctionName"])

    def _apis(self) -> Iterator[Resource]:
        for api in self.aws.pages("apigateway", "get_rest_apis", "items"):
            if api["name"] == self.names.api:
                self.stacks.remember_api(api["id"])
                yield self._resource("api", api["name"], api["id"])

    def _repository(self) -> Iterator[Resource]:
        client = self.aws.client("codecommit")
        listed = self.aws.pages("codecommit", "list_repositories", "repositories")
        for item in listed:
            name, id = item["repositoryName"], item["repositoryId"]
            repository = client.get_repository(repositoryName=name)["repositoryMetadata"]
            if repository.get("repositoryDescription") == self.names.repository_description:
                yield Resource("repository", name, stack=self.stacks.owner(name, id))

    def _logs(self) -> Iterator[Resource]:
        groups = {g["logGroupName"] for g in self._log_groups()}
        for group in sorted(groups):
            ours = group in self.names.log_groups or is_execution_log(group, self.stacks.api_ids)
            if ours:
                yield self._resource("log group", group)
        for group, prefix in self.names.log_stream_prefixes.items():
            if group not in groups:
                continue
            streams = self.aws.pages(
                "logs",
                "describe_log_streams",
                "logStreams",
                logGroupName=group,
                logStreamNamePrefix=prefix,
            )
            for stream in streams:
                if self.names.is_log_stream(group, stream["logStreamName"]):
                    yield Resource("log stream", stream["logStreamName"], group=group)

    def _log_groups(self) -> list[Any]:
        prefixes = (*LOG_PREFIXES, *(EXECUTION_LOGS + api for api in sorted(self.stacks.api_ids)))
        return [
            group
            for prefix in prefixes
            for group in self.aws.pages(
                "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix
            )
        ]


LOG_PREFIXES = (
    "/aws/lambda/Ethnicity-Pred-",
    "/aws/codebuild/ethnicity-pred-",
    "/aws/apigateway/ethnicity-pred-",
    "/aws/sagemaker/",
)
PAGE = {"PageSize": 1000}  # with a page size S3 names each bucket's region
BUCKET_KINDS = (("kept bucket", KEPT_BUCKETS), ("working bucket", WORKING_BUCKETS))

"""The API of CodeBuild: one method for each operation, and the CloudFormation type."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from local_cloud import cfn, seams
from local_cloud.background import spawn
from local_cloud.codebuild.project import (
    START_BUILD,
    check_project,
    check_variables,
    chosen_variables,
    new_build,
    new_project,
    order_of,
    project_arn,
)
from local_cloud.codebuild.runner import Order, Runner
from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured
from local_cloud.service import Call, JsonService, Need

RESOURCE_TYPE = "AWS::CodeBuild::Project"
SERVICE = "codebuild.amazonaws.com"


@dataclass(frozen=True)
class PipelineOrder:
    """What CodePipeline hands to CodeBuild beside the public request of StartBuild."""

    pipeline: str
    revision: str  # commit of the source
    source: tuple[str, str]  # (bucket, key)
    target: tuple[str, str] | None
    encryption_key: str | None


class CodeBuild(JsonService):
    """Projects and builds; each build runs in a thread of its own."""

    name: ClassVar[str] = "codebuild"
    invalid_request_code: ClassVar[str] = "InvalidInputException"

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, dict[str, Any]] = {}
        self.runners: dict[str, Runner] = {}
        self._numbers: dict[str, int] = {}

    def install(self) -> None:
        """Register the service and its CloudFormation type."""
        super().install()
        seams.register_resource(RESOURCE_TYPE, self._cfn_create, self._cfn_update, self._cfn_delete)

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Scope each operation to its projects; a project's role must be passed to CodeBuild."""
        named = request.get("names") or [request.get("projectName") or request.get("name")]
        builds = request.get("ids") or ([request["id"]] if "id" in request else [])
        projects = [build.partition(":")[0] for build in builds] or [n for n in named if n]
        resources = [project_arn(name, call) for name in projects] or ["*"]
        needs = [Need(f"codebuild:{operation}", arn) for arn in dict.fromkeys(resources)]
        if role := request.get("serviceRole"):
            needs.append(Need("iam:PassRole", role, {"iam:PassedToService": SERVICE}))
        return needs

    def create_project(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        check_project("CreateProject", request)
        if request["name"] in self.projects:
            raise ApiError(
                "ResourceAlreadyExistsException",
                f"Project already exists: {project_arn(request['name'], call)}",
            )
        self.projects[request["name"]] = new_project(request, call)
        return {"project": self.projects[request["name"]]}

    def update_project(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        check_project("UpdateProject", request)
        project = self._project(request["name"], call)
        project.update(new_project(project_request(project) | request, call))
        project["lastModified"] = time.time()
        return {"project": project}

    def delete_project(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self.projects.pop(request["name"], None)
        return {}

    def batch_get_projects(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        names = [name.rpartition("/")[2] for name in request["names"]]
        missing = [name for name in names if name not in self.projects]
        found = [self.projects[name] for name in names if name in self.projects]
        return {"projects": found, **({"projectsNotFound": missing} if missing else {})}

    def list_projects(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codebuild:ListProjects", members(), request)
        return {"projects": sorted(self.projects)}

    def start_build(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codebuild:StartBuild", START_BUILD, request)
        project = self._project(request["projectName"], call)
        if project["source"]["type"] == "CODEPIPELINE":
            message = "A project with source type CODEPIPELINE is started by its pipeline only"
            raise ApiError("InvalidInputException", message)
        caller = seams.caller_arn(call.access_key).rpartition(":")[2]
        initiator = caller.partition("/")[2] or caller
        build = self._new_build(project, request, initiator, call)
        order = order_of(project, build, request.get("buildspecOverride"))
        return {"build": self._start(build, order)}

    def start_for_pipeline(
        self, request: dict[str, Any], order: PipelineOrder, call: Call
    ) -> dict[str, Any]:
        """Run StartBuild as the pipeline's role does, with the artifacts of an execution."""
        refuse_unhonoured("codebuild:StartBuild", START_BUILD, request)
        self._authorize("StartBuild", request, call)
        project = self._project(request["projectName"], call)
        if project["source"]["type"] != "CODEPIPELINE":
            message = f"Project {project['name']} has no source of type CODEPIPELINE"
            raise ApiError("InvalidInputException", message)
        version = f"arn:aws:s3:::{'/'.join(order.source)}"
        request = {**request, "sourceVersion": version}
        build = self._new_build(project, request, f"codepipeline/{order.pipeline}", call)
        build["resolvedSourceVersion"] = order.revision
        if order.target:
            build["artifacts"] = {"location": f"arn:aws:s3:::{'/'.join(order.target)}"}
        if order.encryption_key:
            build["encryptionKey"] = order.encryption_key
        work = Order(
            buildspec=project["source"].get("buildspec"),
            source=order.source,
            target=order.target,
            encryption_key=order.encryption_key,
            variables=chosen_variables(build),
            timeout_s=build["timeoutInMinutes"] * 60,
            region=call.region,
        )
        return self._start(build, work)

    def batch_get_builds(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        missing = [i for i in request["ids"] if i not in self.runners]
        found = [self.runners[i].snapshot() for i in request["ids"] if i in self.runners]
        return {"builds": found, **({"buildsNotFound": missing} if missing else {})}

    def list_builds(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codebuild:ListBuilds", members("sortOrder"), request)
        ids = list(self.runners)
        return {"ids": ids if request.get("sortOrder") == "ASCENDING" else ids[::-1]}

    def list_builds_for_project(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        honoured = members("projectName", "sortOrder")
        refuse_unhonoured("codebuild:ListBuildsForProject", honoured, request)
        self._project(request["projectName"], call)
        ids = [i for i in self.runners if i.partition(":")[0] == request["projectName"]]
        return {"ids": ids if request.get("sortOrder") == "ASCENDING" else ids[::-1]}

    def stop_build(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        runner = self.runners.get(request["id"])
        if runner is None:
            raise ApiError("ResourceNotFoundException", f"Build {request['id']} does not exist")
        if not runner.record["buildComplete"]:
            runner.interrupt()
        return {"build": runner.snapshot()}

    def _project(self, name: str, call: Call) -> dict[str, Any]:
        name = name.rpartition("/")[2]
        if name not in self.projects:
            message = f"Project cannot be found: {project_arn(name, call)}"
            raise ApiError("ResourceNotFoundException", message)
        return self.projects[name]

    def _new_build(
        self, project: dict[str, Any], request: dict[str, Any], initiator: str, call: Call
    ) -> dict[str, Any]:
        check_variables(request.get("environmentVariablesOverride", []))
        number = self._numbers.get(project["name"], 0) + 1
        self._numbers[project["name"]] = number
        return new_build(project, request, number, initiator, call)

    def _start(self, build: dict[str, Any], order: Order) -> dict[str, Any]:
        runner = Runner(build, order)
        self.runners[build["id"]] = runner
        submitted = runner.snapshot()
        spawn("build", runner.run)
        return submitted

    def _authorize(self, operation: str, request: dict[str, Any], call: Call) -> None:
        for need in self.needs(operation, request, call):
            call.authorize(need.action, need.resource, **need.context)

    def _cfn_create(self, logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        name = properties.get("Name") or seams.physical_name(stack_name, logical_id)
        call = cfn.stack_call()
        self.call("CreateProject", self._cfn_request({**properties, "Name": name}), call)
        return name, {"Arn": project_arn(name, call)}

    def _cfn_update(
        self, physical_id: str, old: dict, new: dict, stack_name: str
    ) -> tuple[str, dict]:
        name = new.get("Name") or physical_id
        if name != physical_id:
            return self._cfn_create(name, new, stack_name)
        call = cfn.stack_call()
        request = self._cfn_request({**new, "Name": name})
        self._authorize("UpdateProject", request, call)
        check_project("UpdateProject", request)
        created = self._project(name, call)["created"]
        self.projects[name] = new_project(request, call) | {"created": created}
        return name, {"Arn": project_arn(name, call)}

    def _cfn_delete(self, physical_id: str, properties: dict) -> None:
        self.call("DeleteProject", {"name": physical_id}, cfn.stack_call())

    def _cfn_request(self, properties: dict) -> dict[str, Any]:
        operation = self.model.operation_model("CreateProject")
        return cfn.to_request(properties, operation, RESOURCE_TYPE)


def project_request(project: dict[str, Any]) -> dict[str, Any]:
    """Return what of a project an update may leave as it is."""
    own = {"arn", "created", "lastModified"}
    return {name: value for name, value in project.items() if name not in own}

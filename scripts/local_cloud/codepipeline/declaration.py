"""Reads a pipeline's declaration, and refuses by name what would not be honoured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_cloud.codepipeline.variables import references
from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured

USER_PARAMETERS_LIMIT = 1000
ACTION = members(
    *("name", "actionTypeId", "runOrder", "configuration", "roleArn", "region", "namespace"),
    "timeoutInMinutes",
    inputArtifacts=members("name"),
    outputArtifacts=members("name"),
)
HONOURED = members(
    *("name", "roleArn", "version", "executionMode", "pipelineType"),
    artifactStore=members("type", "location", encryptionKey=members("id", "type")),
    stages=members("name", actions=ACTION),
    variables=members("name", "defaultValue", "description"),
)


@dataclass(frozen=True)
class Provider:
    """What an action of a provider takes: configuration keys, and how many artifacts."""

    category: str
    required: frozenset[str]
    optional: frozenset[str]
    inputs: tuple[int, int]
    outputs: tuple[int, int]


PROVIDERS = {
    "CodeCommit": Provider(
        "Source",
        frozenset({"RepositoryName", "BranchName"}),
        frozenset({"PollForSourceChanges", "OutputArtifactFormat"}),
        (0, 0),
        (1, 1),
    ),
    "CodeBuild": Provider(
        "Build",
        frozenset({"ProjectName"}),
        frozenset({"PrimarySource", "EnvironmentVariables", "BatchEnabled"}),
        (1, 1),
        (0, 1),
    ),
    "Lambda": Provider(
        "Invoke", frozenset({"FunctionName"}), frozenset({"UserParameters"}), (0, 5), (0, 5)
    ),
    "Manual": Provider(
        "Approval",
        frozenset(),
        frozenset({"NotificationArn", "ExternalEntityLink", "CustomData"}),
        (0, 0),
        (0, 0),
    ),
}
ONLY_VALUES = {  # configuration whose other values would change what happens
    "PollForSourceChanges": ("false", "nothing polls; start the pipeline by an EventBridge rule"),
    "OutputArtifactFormat": ("CODE_ZIP", "a build cannot clone the repository here"),
    "BatchEnabled": ("false", "there are no batch builds"),
}


@dataclass(frozen=True)
class Action:
    """One action as declared; `configuration` still holds its #{…} references."""

    name: str
    provider: str
    category: str
    run_order: int = 1
    configuration: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    namespace: str | None = None
    role_arn: str | None = None
    timeout_minutes: int | None = None


@dataclass(frozen=True)
class Stage:
    """Actions of one run order run side by side, the orders one after the other."""

    name: str
    actions: tuple[Action, ...]

    def orders(self) -> list[list[Action]]:
        """Return the actions in groups, by run order."""
        numbers = sorted({action.run_order for action in self.actions})
        return [[a for a in self.actions if a.run_order == number] for number in numbers]


@dataclass(frozen=True)
class Pipeline:
    """One version of a pipeline; an execution keeps the version that it started with."""

    name: str
    version: int
    role_arn: str
    stages: tuple[Stage, ...]
    bucket: str = ""
    encryption_key: str | None = None
    mode: str = "SUPERSEDED"
    variables: Mapping[str, str | None] = field(default_factory=dict)  # name → default


def parse(declaration: dict[str, Any], version: int, region: str) -> Pipeline:
    """Read a declaration in the API's shape; raises ApiError."""
    refuse_unhonoured("the pipeline declaration", HONOURED, declaration)
    mode = declaration.get("executionMode", "SUPERSEDED")
    if mode == "PARALLEL":
        raise ApiError("NotImplemented", "executionMode PARALLEL is not emulated", 501)
    store = declaration.get("artifactStore")
    if store is None:
        raise _invalid("artifactStore is missing")
    variables = {v["name"]: v.get("defaultValue") for v in declaration.get("variables", [])}
    if variables and declaration.get("pipelineType") != "V2":
        raise _invalid("variables at the pipeline level need pipelineType V2")
    pipeline = Pipeline(
        name=declaration["name"],
        version=version,
        role_arn=declaration["roleArn"],
        stages=tuple(_stage(stage, region) for stage in declaration["stages"]),
        bucket=store["location"],
        encryption_key=store.get("encryptionKey", {}).get("id"),
        mode=mode,
        variables=variables,
    )
    _check_order(pipeline)
    return pipeline


def _stage(stage: dict[str, Any], region: str) -> Stage:
    return Stage(stage["name"], tuple(_action(action, region) for action in stage["actions"]))


def _action(action: dict[str, Any], region: str) -> Action:
    kind = action["actionTypeId"]
    provider = PROVIDERS.get(kind["provider"])
    if provider is None or provider.category != kind["category"] or kind["owner"] != "AWS":
        known = ", ".join(f"{p.category} by {name}" for name, p in PROVIDERS.items())
        raise ApiError(
            "NotImplemented",
            f"action {action['name']}: {kind['category']} by {kind['owner']} {kind['provider']} "
            f"is not emulated by the local cloud, only {known}",
            501,
        )
    if action.get("region", region) != region:
        raise _invalid(f"action {action['name']}: its region is not the pipeline's", "Action")
    parsed = Action(
        name=action["name"],
        provider=kind["provider"],
        category=kind["category"],
        run_order=action.get("runOrder", 1),
        configuration=action.get("configuration", {}),
        inputs=tuple(artifact["name"] for artifact in action.get("inputArtifacts", [])),
        outputs=tuple(artifact["name"] for artifact in action.get("outputArtifacts", [])),
        namespace=action.get("namespace"),
        role_arn=action.get("roleArn"),
        timeout_minutes=action.get("timeoutInMinutes"),
    )
    _check_action(parsed, provider)
    return parsed


def _check_action(action: Action, provider: Provider) -> None:
    keys = action.configuration.keys()
    about = f"Action configuration for action '{action.name}'"
    if missing := sorted(provider.required - keys):
        raise _invalid(f"{about} is missing required configuration '{missing[0]}'", "Action")
    if unknown := sorted(keys - provider.required - provider.optional):
        raise _invalid(f"{about} contains unknown configuration '{unknown[0]}'", "Action")
    for key, (only, why) in ONLY_VALUES.items():
        default = "true" if key == "PollForSourceChanges" else only
        takes = key in provider.optional
        if takes and str(action.configuration.get(key, default)).lower() != only.lower():
            message = f"action {action.name}: {key} must be {only} offline: {why}"
            raise ApiError("NotImplemented", message, 501)
    if action.timeout_minutes is not None and action.category != "Approval":
        message = f"action {action.name}: timeoutInMinutes is for manual approvals only"
        raise _invalid(message, "Action")
    if len(action.configuration.get("UserParameters", "")) > USER_PARAMETERS_LIMIT:
        message = f"UserParameters of {action.name} exceeds {USER_PARAMETERS_LIMIT} characters"
        raise _invalid(message, "Action")
    for what, names, (low, high) in (
        ("input", action.inputs, provider.inputs),
        ("output", action.outputs, provider.outputs),
    ):
        if not low <= len(names) <= high:
            message = f"action {action.name} has {len(names)} {what} artifacts, {low} to {high} fit"
            raise _invalid(message, "Action")


def _check_order(pipeline: Pipeline) -> None:
    """Check names, and that each artifact and namespace is made before it is used."""
    if len(pipeline.stages) < 2:
        raise _invalid("Pipeline should start with a stage that only contains source actions "
                       "and have at least two stages")  # fmt: skip
    _unique("stage name", [stage.name for stage in pipeline.stages])
    made: set[str] = set()
    namespaces = {"codepipeline", "variables"}
    for number, stage in enumerate(pipeline.stages):
        _unique(f"action name in stage {stage.name}", [action.name for action in stage.actions])
        for order in stage.orders():
            for action in order:
                if (action.category == "Source") != (number == 0):
                    raise _invalid(
                        "Pipeline should start with a stage that only contains source actions; "
                        f"{stage.name} holds {action.name}"
                    )
                _check_uses(action, made, namespaces)
            for action in order:
                _unique("output artifact", [*made, *action.outputs])
                made |= set(action.outputs)
                namespaces |= {action.namespace} if action.namespace else set()


def _check_uses(action: Action, made: set[str], namespaces: set[str]) -> None:
    for name in action.inputs:
        if name not in made:
            raise _invalid(
                f"Input Artifact {name} in action {action.name} is not an output of an action "
                "that runs before it"
            )
    for value in action.configuration.values():
        for namespace, key in references(value):
            if namespace not in namespaces:
                raise _invalid(
                    f"action {action.name} refers to #{{{namespace}.{key}}}, but no action before "
                    f"it has the namespace {namespace}",
                    "Action",
                )


def _unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _invalid(f"{what} {twice[0]} is used twice")


def _invalid(message: str, what: str = "") -> ApiError:
    code = f"Invalid{what}DeclarationException" if what else "InvalidStructureException"
    return ApiError(code, message)

"""What of each request is honoured; any other member is refused by its name.

A member that is false or empty asks for nothing, so it is never refused. Some members below are
checked and shown, and there is nothing else to do for them on one machine: instance types and
volume sizes, a spot job's waiting time (no job is ever interrupted), the encryption of traffic
between hosts (it does not leave the loopback).
"""

from __future__ import annotations

from typing import Any

from local_cloud.members import Members, members, refuse_unhonoured

_LIST = members(
    "NextToken",
    "MaxResults",
    "SortBy",
    "SortOrder",
    "NameContains",
    "CreationTimeAfter",
    "CreationTimeBefore",
)
_LIST_CHANGING = {**_LIST, **members("LastModifiedTimeAfter", "LastModifiedTimeBefore")}
_LIST_MOVING = {**_LIST_CHANGING, **members("StatusEquals")}
_DEPLOYMENT = members(
    "AutoRollbackConfiguration",
    BlueGreenUpdatePolicy=members(
        "TrafficRoutingConfiguration",
        "TerminationWaitInSeconds",
        "MaximumExecutionTimeoutInSeconds",
    ),
)

HONOURED: dict[str, Members] = {
    "CreateTrainingJob": members(
        "TrainingJobName",
        "HyperParameters",
        "RoleArn",
        "Tags",
        "EnableNetworkIsolation",
        "EnableManagedSpotTraining",
        "EnableInterContainerTrafficEncryption",
        "Environment",
        "CheckpointConfig",
        AlgorithmSpecification=members(
            "TrainingImage",
            "TrainingInputMode",
            "MetricDefinitions",
        ),
        InputDataConfig=members(
            "ChannelName",
            "ContentType",
            "CompressionType",
            "RecordWrapperType",
            "InputMode",
            DataSource=members(
                S3DataSource=members("S3DataType", "S3Uri", "S3DataDistributionType")
            ),
        ),
        OutputDataConfig=members("KmsKeyId", "S3OutputPath", "CompressionType"),
        ResourceConfig=members("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId"),
        StoppingCondition=members("MaxRuntimeInSeconds", "MaxWaitTimeInSeconds"),
    ),
    "ListTrainingJobs": _LIST_MOVING,
    "CreateModel": members(
        "ModelName",
        "ExecutionRoleArn",
        "Tags",
        "EnableNetworkIsolation",
        PrimaryContainer=members("Image", "ModelDataUrl", "Environment", "Mode"),
    ),
    "ListModels": _LIST,
    "CreateEndpointConfig": members(
        "EndpointConfigName",
        "Tags",
        "KmsKeyId",
        ProductionVariants=members(
            "VariantName",
            "ModelName",
            "InstanceType",
            "InitialInstanceCount",
            "InitialVariantWeight",
            "ModelDataDownloadTimeoutInSeconds",
            "ContainerStartupHealthCheckTimeoutInSeconds",
            ServerlessConfig=members("MemorySizeInMB", "MaxConcurrency"),
        ),
    ),
    "ListEndpointConfigs": _LIST,
    "CreateEndpoint": members(
        "EndpointName", "EndpointConfigName", "Tags", DeploymentConfig=_DEPLOYMENT
    ),
    "UpdateEndpoint": members(
        "EndpointName",
        "EndpointConfigName",
        "RetainDeploymentConfig",
        DeploymentConfig=_DEPLOYMENT,
    ),
    "ListEndpoints": _LIST_MOVING,
    "CreateModelPackageGroup": members(
        "ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"
    ),
    "ListModelPackageGroups": _LIST,
    "CreateModelPackage": members(
        "ModelPackageGroupName",
        "ModelPackageDescription",
        "InferenceSpecification",
        "ModelApprovalStatus",
        "MetadataProperties",
        "ModelMetrics",
        "DriftCheckBaselines",
        "CustomerMetadataProperties",
        "Domain",
        "Task",
        "ClientToken",
        "SkipModelValidation",
        "SourceUri",
        "ModelCard",
        "ModelLifeCycle",
        "Tags",
    ),
    "UpdateModelPackage": members(
        "ModelPackageArn",
        "ModelApprovalStatus",
        "ApprovalDescription",
        "CustomerMetadataProperties",
        "CustomerMetadataPropertiesToRemove",
        "InferenceSpecification",
        "SourceUri",
        "ModelCard",
        "ModelLifeCycle",
    ),
    "ListModelPackages": {
        **_LIST,
        **members("ModelPackageGroupName", "ModelApprovalStatus", "ModelPackageType"),
    },
    "CreateNotebookInstance": members(
        "NotebookInstanceName",
        "InstanceType",
        "RoleArn",
        "KmsKeyId",
        "Tags",
        "LifecycleConfigName",
        "DirectInternetAccess",
        "VolumeSizeInGB",
        "DefaultCodeRepository",
        "AdditionalCodeRepositories",
        "RootAccess",
        "PlatformIdentifier",
        "InstanceMetadataServiceConfiguration",
    ),
    "UpdateNotebookInstance": members(
        "NotebookInstanceName",
        "InstanceType",
        "RoleArn",
        "LifecycleConfigName",
        "DisassociateLifecycleConfig",
        "VolumeSizeInGB",
        "DefaultCodeRepository",
        "AdditionalCodeRepositories",
        "RootAccess",
        "InstanceMetadataServiceConfiguration",
    ),
    "ListNotebookInstances": _LIST_MOVING,
    "CreateNotebookInstanceLifecycleConfig": members(
        "NotebookInstanceLifecycleConfigName", "OnCreate", "OnStart", "Tags"
    ),
    "ListNotebookInstanceLifecycleConfigs": _LIST_CHANGING,
}


def refuse_the_rest(operation: str, request: dict[str, Any]) -> None:
    """Raise 501 naming every member of the request that asks for what is not emulated."""
    if operation in HONOURED:
        asked = _without_defaults(request)
        refuse_unhonoured(f"sagemaker:{operation}", HONOURED[operation], asked)


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_defaults(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if _asks(item)}
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    return value


def _asks(value: Any) -> bool:
    return value is not None and value is not False and value not in ({}, [])

"""Looks for what the pipeline made in SageMaker; no stack owns that, the notebook aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cleanup.aws import Aws
from cleanup.names import PREFIX, Names
from cleanup.plan import Resource

Owner = Callable[..., str]


class SageMaker:
    """SageMaker's lists, each narrowed to one UniqueID."""

    def __init__(self, aws: Aws, names: Names, owner: Owner) -> None:
        self.aws = aws
        self.names = names
        self.owner = owner

    def looks(self) -> dict[str, Callable[[], Iterator[Resource]]]:
        """Return a name for each look, and the look."""
        return {
            "endpoints": self._endpoints,
            "endpoint configs": self._endpoint_configs,
            "models": self._models,
            "training jobs": self._training_jobs,
            "model packages": self._model_packages,
            "notebook instances": self._notebook,
        }

    def _endpoints(self) -> Iterator[Resource]:
        for item in self._pages("list_endpoints", "Endpoints"):
            if item["EndpointName"] in self.names.endpoints:
                yield Resource("endpoint", item["EndpointName"], status=item["EndpointStatus"])

    def _endpoint_configs(self) -> Iterator[Resource]:
        for item in self._pages("list_endpoint_configs", "EndpointConfigs"):
            if self.names.is_run(item["EndpointConfigName"]):
                yield Resource("endpoint config", item["EndpointConfigName"])

    def _models(self) -> Iterator[Resource]:
        for item in self._pages("list_models", "Models"):
            if self.names.is_run(item["ModelName"]):
                yield Resource("model", item["ModelName"])

    def _training_jobs(self) -> Iterator[Resource]:
        for item in self._pages("list_training_jobs", "TrainingJobSummaries"):
            if self.names.is_run(item["TrainingJobName"]):
                status = item["TrainingJobStatus"]
                yield Resource("training job", item["TrainingJobName"], status=status)

    def _model_packages(self) -> Iterator[Resource]:
        name = self.names.model_package_group
        groups = self._pages("list_model_package_groups", "ModelPackageGroupSummaryList")
        if name not in {group["ModelPackageGroupName"] for group in groups}:
            return
        yield Resource("model package group", name)
        packages = self.aws.pages(
            "sagemaker",
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=name,
        )
        for package in packages:
            label = f"{name}/{package['ModelPackageVersion']}"
            yield Resource("model package", label, package["ModelPackageArn"])

    def _notebook(self) -> Iterator[Resource]:
        name = self.names.notebook
        listed = self.aws.pages(
            "sagemaker", "list_notebook_instances", "NotebookInstances", NameContains=name
        )
        for item in listed:
            if item["NotebookInstanceName"] == name:
                status = item["NotebookInstanceStatus"]
                yield Resource("notebook", name, status=status, stack=self.owner(name))

    def _pages(self, operation: str, key: str) -> list[dict]:
        return self.aws.pages("sagemaker", operation, key, NameContains=PREFIX.rstrip("-"))

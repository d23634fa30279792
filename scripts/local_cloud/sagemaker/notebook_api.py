"""The operations on notebook instances and their lifecycle configurations."""

from __future__ import annotations

import time
from typing import Any

from local_cloud.background import time_scale
from local_cloud.sagemaker import arns, listing
from local_cloud.sagemaker.base import SageMakerBase, place_of, require_volume_key
from local_cloud.sagemaker.notebook import Notebook, check_scripts
from local_cloud.sagemaker.refusals import NotEmulated, Refused
from local_cloud.sagemaker.role_session import open_session
from local_cloud.service import Call


class NotebookApi(SageMakerBase):
    """Notebook instances and lifecycle configurations by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.notebooks: dict[str, Notebook] = {}
        self.lifecycles: dict[str, dict[str, Any]] = {}

    def create_notebook_instance(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["NotebookInstanceName"]
        arn = place_of(call).arn(arns.NOTEBOOK, name)
        if request.get("DirectInternetAccess", "Enabled") != "Enabled":
            raise NotEmulated("DirectInternetAccess Disabled, which needs a VPC")
        self._require_lifecycle(request, call)
        open_session(request["RoleArn"], call.region)
        if key := request.get("KmsKeyId"):
            require_volume_key(key, call.region, call.access_key)
        with self.lock:
            if name in self.notebooks:
                raise Refused(f"Cannot create a duplicate Notebook Instance ({arn})")
            self.notebooks[name] = Notebook(
                {k: v for k, v in request.items() if k != "Tags"},
                arn,
                call.region,
                time.time(),
                time_scale(),
            )
        self.tag(arn, request)
        return {"NotebookInstanceArn": arn}

    def describe_notebook_instance(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return self._notebook(request).describe(time.time())

    def start_notebook_instance(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        self._notebook(request).start(time.time())
        return {}

    def stop_notebook_instance(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        self._notebook(request).stop(time.time())
        return {}

    def update_notebook_instance(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self._require_lifecycle(request, call)
        if role := request.get("RoleArn"):
            open_session(role, call.region)
        self._notebook(request).update(request, time.time())
        return {}

    def delete_notebook_instance(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        notebook = self._notebook(request)
        notebook.check_deletable(time.time())
        del self.notebooks[notebook.name]
        self.untag(notebook.arn)
        return {}

    def list_notebook_instances(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        now = time.time()
        return listing.page(
            request,
            [notebook.summary(now) for notebook in list(self.notebooks.values())],
            answer="NotebookInstances",
            name="NotebookInstanceName",
            status="NotebookInstanceStatus",
        )

    def create_notebook_instance_lifecycle_config(
        self, request: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        name = request["NotebookInstanceLifecycleConfigName"]
        arn = place_of(call).arn(arns.LIFECYCLE_CONFIG, name)
        check_scripts(request)
        with self.lock:
            if name in self.lifecycles:
                raise Refused(
                    f"Unable to create Notebook Instance Lifecycle Config {arn}. (Details: "
                    "Notebook Instance Lifecycle Config already exists.)"
                )
            now = time.time()
            self.lifecycles[name] = {
                "NotebookInstanceLifecycleConfigName": name,
                "NotebookInstanceLifecycleConfigArn": arn,
                "OnCreate": request.get("OnCreate", []),
                "OnStart": request.get("OnStart", []),
                "CreationTime": now,
                "LastModifiedTime": now,
            }
        self.tag(arn, request)
        return {"NotebookInstanceLifecycleConfigArn": arn}

    def describe_notebook_instance_lifecycle_config(
        self, request: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        return self._lifecycle("describe", request["NotebookInstanceLifecycleConfigName"], call)

    def update_notebook_instance_lifecycle_config(
        self, request: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        name = request["NotebookInstanceLifecycleConfigName"]
        record = self._lifecycle("update", name, call)
        check_scripts(request)
        for hook in ("OnCreate", "OnStart"):
            if hook in request:
                record[hook] = request[hook]
        record["LastModifiedTime"] = time.time()
        return {}

    def delete_notebook_instance_lifecycle_config(
        self, request: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        name = request["NotebookInstanceLifecycleConfigName"]
        arn = self._lifecycle("delete", name, call)["NotebookInstanceLifecycleConfigArn"]
        users = [
            notebook.name
            for notebook in self.notebooks.values()
            if notebook.settings.get("LifecycleConfigName") == name
        ]
        if users:
            raise Refused(
                f"Unable to delete Notebook Instance Lifecycle Config {arn}. (Details: It is in "
                f"use by notebook instance {', '.join(users)}.)"
            )
        del self.lifecycles[name]
        self.untag(arn)
        return {}

    def list_notebook_instance_lifecycle_configs(
        self, request: dict[str, Any], _call: Call
    ) -> dict[str, Any]:
        hidden = {"OnCreate", "OnStart"}
        entries = [
            {name: value for name, value in record.items() if name not in hidden}
            for record in list(self.lifecycles.values())
        ]
        return listing.page(
            request,
            entries,
            answer="NotebookInstanceLifecycleConfigs",
            name="NotebookInstanceLifecycleConfigName",
        )

    def _notebook(self, request: dict[str, Any]) -> Notebook:
        notebook = self.notebooks.get(request["NotebookInstanceName"])
        if notebook is None:
            raise Refused("RecordNotFound")
        return notebook

    def _lifecycle(self, verb: str, name: str, call: Call) -> dict[str, Any]:
        if name not in self.lifecycles:
            arn = place_of(call).arn(arns.LIFECYCLE_CONFIG, name)
            raise Refused(
                f"Unable to {verb} Notebook Instance Lifecycle Config '{arn}'. (Details: Notebook "
                "Instance Lifecycle Config does not exist.)"
            )
        return self.lifecycles[name]

    def _require_lifecycle(self, request: dict[str, Any], call: Call) -> None:
        if name := request.get("LifecycleConfigName"):
            self._lifecycle("use", name, call)

"""The operations on endpoints."""

from __future__ import annotations

import time
import uuid
from typing import Any

from local_cloud import seams, state
from local_cloud.background import spawn
from local_cloud.errors import ApiError
from local_cloud.sagemaker import arns, listing, rollout
from local_cloud.sagemaker.base import place_of, require_volume_key
from local_cloud.sagemaker.deployer import Deployment
from local_cloud.sagemaker.endpoint import SERVING, Endpoint
from local_cloud.sagemaker.fleet import Fleet, Traffic
from local_cloud.sagemaker.hosting_api import HostingApi
from local_cloud.sagemaker.hosting_rules import check_succession, fewest_instances
from local_cloud.sagemaker.refusals import Refused
from local_cloud.sagemaker.role_session import open_session
from local_cloud.sagemaker.server import ModelServer, Variant
from local_cloud.service import Call


class EndpointApi(HostingApi):
    """Endpoints by their name, each with its traffic."""

    def __init__(self) -> None:
        super().__init__()
        self.deployments: dict[str, Deployment] = {}

    def create_endpoint(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["EndpointName"]
        arn = place_of(call).arn(arns.ENDPOINT, name)
        self._refuse_a_taken_endpoint(name, arn)
        config = self._deployable(request["EndpointConfigName"], call)
        guard = request.get("DeploymentConfig", {})
        rollout.plan(guard, fewest_instances(config))
        self._require_alarms(guard, config, call)
        fleet = self._fleet(name, config, call)
        deployment = Deployment(Endpoint(name, arn, config, guard, time.time()), Traffic())
        with self.lock:
            self._refuse_a_taken_endpoint(name, arn)
            self.deployments[name] = deployment
        self.tag(arn, request)
        spawn(f"create endpoint {name}", deployment.create, fleet)
        return {"EndpointArn": arn}

    def update_endpoint(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        deployment = self.deployment_named(request["EndpointName"], call)
        endpoint = deployment.endpoint
        _refuse_to_change(endpoint)
        self.config_named(endpoint.config_name, call)  # AWS, too, wants the old one to be there
        config = self._deployable(request["EndpointConfigName"], call)
        if config["EndpointConfigName"] == endpoint.config_name:
            raise Refused(
                f'Cannot update endpoint "{endpoint.arn}" to the endpoint configuration that it '
                f'already uses, "{endpoint.config_name}"; create a new one.'
            )
        check_succession(endpoint.config, config)
        guard = request.get("DeploymentConfig", {})
        if request.get("RetainDeploymentConfig") and not guard:
            guard = endpoint.deployment
        steps = rollout.plan(guard, fewest_instances(config))
        self._require_alarms(guard, config, call)
        green = self._fleet(endpoint.name, config, call)
        with self.lock:
            _refuse_to_change(endpoint)
            endpoint.update(config, guard, time.time())
        spawn(f"update endpoint {endpoint.name}", deployment.update, green, steps)
        return {"EndpointArn": endpoint.arn}

    def describe_endpoint(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return self.deployment_named(request["EndpointName"], call).endpoint.describe()

    def delete_endpoint(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        deployment = self.deployment_named(request["EndpointName"], call)
        endpoint = deployment.endpoint
        with self.lock:
            if endpoint.busy:
                raise Refused(f'Cannot update in-progress endpoint "{endpoint.arn}".')
            endpoint.delete(time.time())

        def forget() -> None:
            self.deployments.pop(endpoint.name, None)
            self.untag(endpoint.arn)

        spawn(f"delete endpoint {endpoint.name}", deployment.delete, forget)
        return {}

    def list_endpoints(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return listing.page(
            request,
            [entry.endpoint.summary() for entry in list(self.deployments.values())],
            answer="Endpoints",
            name="EndpointName",
            status="EndpointStatus",
        )

    def deployment_named(self, name: str, call: Call) -> Deployment:
        """Return an endpoint with its traffic; the error that AWS gives if there is none."""
        if name not in self.deployments:
            arn = place_of(call).arn(arns.ENDPOINT, name)
            raise Refused(f'Could not find endpoint "{arn}".')
        return self.deployments[name]

    def serving(self, name: str) -> Traffic | None:
        """Return the traffic of an endpoint that answers; None for any other."""
        deployment = self.deployments.get(name)
        if deployment is None or deployment.endpoint.status not in SERVING:
            return None
        return deployment.traffic

    def _deployable(self, config_name: str, call: Call) -> dict[str, Any]:
        """Return a configuration with each variant's image, checked for the caller's rights."""
        config = self.config_named(config_name, call)
        if key := config.get("KmsKeyId"):
            require_volume_key(key, call.region, call.access_key)
        variants = []
        for variant in config["ProductionVariants"]:
            model = self.model_named(variant["ModelName"], call)
            variants.append({**variant, "Image": model["PrimaryContainer"]["Image"]})
        return {**config, "ProductionVariants": variants}

    def _fleet(self, endpoint: str, config: dict[str, Any], call: Call) -> Fleet:
        servers = []
        for definition in config["ProductionVariants"]:
            model = self.model_named(definition["ModelName"], call)
            session = open_session(model["ExecutionRoleArn"], call.region)
            folder = state.folder("sagemaker", "endpoints", endpoint, uuid.uuid4().hex[:8])
            variant = Variant(endpoint, definition, model)
            servers.append(ModelServer(variant, self.engine, session, folder))
        return Fleet(servers)

    def _require_alarms(self, guard: dict[str, Any], config: dict[str, Any], call: Call) -> None:
        """Refuse alarms that do not exist, or that the execution role may not describe."""
        names = rollout.alarm_names(guard)
        if not names:
            return
        model = self.model_named(config["ProductionVariants"][0]["ModelName"], call)
        session = open_session(model["ExecutionRoleArn"], call.region)
        access_key = session.credentials["aws_access_key_id"]
        for name in names:
            arn = f"arn:aws:cloudwatch:{call.region}:{call.account}:alarm:{name}"
            if refused := seams.denial(access_key, "cloudwatch:DescribeAlarms", arn):
                raise Refused(f"Cannot describe the auto-rollback alarm {name}: {refused[1]}")
            if seams.alarm_state(name) is None:
                raise Refused(f"The auto-rollback alarm {name} does not exist ({arn}).")

    def _refuse_a_taken_endpoint(self, name: str, arn: str) -> None:
        if name in self.deployments:
            raise Refused(f'Cannot create already existing endpoint "{arn}".')


def _refuse_to_change(endpoint: Endpoint) -> None:
    if endpoint.busy:
        raise Refused(f'Cannot update in-progress endpoint "{endpoint.arn}".')
    if endpoint.status != "InService":
        raise ApiError(
            "ValidationException",
            f'Cannot update endpoint "{endpoint.arn}" in status {endpoint.status}; delete it.',
        )

"""How the local SageMaker brings fleets up and replaces them: health checks, baking, rollbacks."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from local_cloud import seams
from local_cloud.sagemaker import deployer, server
from local_cloud.sagemaker.deployer import Deployment
from local_cloud.sagemaker.endpoint import Endpoint
from local_cloud.sagemaker.engine import ExecError, PullError
from local_cloud.sagemaker.fleet import Traffic
from local_cloud.sagemaker.rollout import Rollout, Step
from local_cloud.sagemaker.server import ModelServer, Unhealthy, Variant

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/glyphs"
VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": 2}


class FakeFleet:
    def __init__(self, healthy: bool = True) -> None:
        self.healthy = healthy
        self.stopped = False

    def start(self) -> None:
        if not self.healthy:
            raise Unhealthy("no ping")

    def answers(self) -> bool:
        return self.healthy

    def stop(self) -> None:
        self.stopped = True


def config(name: str) -> dict:
    return {"EndpointConfigName": name, "ProductionVariants": [VARIANT]}


@pytest.fixture
def alarms(monkeypatch) -> dict[str, str]:
    states: dict[str, str] = {}
    monkeypatch.setattr(deployer.alarms, "judge_now", lambda: None)
    monkeypatch.setattr(seams, "alarm_state", states.get)
    monkeypatch.setenv("LOCAL_CLOUD_TIME_SCALE", "0.001")
    return states


@pytest.fixture
def deployment() -> Deployment:
    """An endpoint in service on a healthy fleet, with an update begun."""
    endpoint, traffic = Endpoint("glyphs", ARN, config("one"), {}, 100.0), Traffic()
    made = Deployment(endpoint, traffic)
    made.create(FakeFleet())
    endpoint.describe()
    endpoint.update(config("two"), {}, 101.0)
    return made


def rollout(*steps: Step, alarms: tuple[str, ...] = (), timeout_s: float = 60) -> Rollout:
    return Rollout(steps or (Step(1.0, 0),), 10, timeout_s, alarms)


def outcome(deployment: Deployment) -> tuple[str, str, str]:
    deployment.endpoint.describe()
    seen = deployment.endpoint.describe()
    return seen["EndpointStatus"], seen["EndpointConfigName"], seen.get("FailureReason", "")


def test_a_healthy_fleet_takes_over_and_the_old_one_goes(alarms, deployment):
    blue, green = deployment.traffic.blue, FakeFleet()
    deployment.update(green, rollout(Step(0.5, 60), Step(1.0, 60)))
    assert outcome(deployment) == ("InService", "two", "")
    assert deployment.traffic.blue is green
    assert (blue.stopped, green.stopped) == (True, False)


def test_traffic_moves_step_by_step(alarms, deployment, monkeypatch):
    shares = []
    shift = deployment.traffic.shift
    monkeypatch.setattr(
        deployment.traffic,
        "shift",
        lambda green, share: (shares.append(share), shift(green, share)),
    )
    deployment.update(FakeFleet(), rollout(Step(0.25, 1), Step(0.5, 1), Step(1.0, 1)))
    assert shares == [0.25, 0.5, 1.0]


def test_an_unhealthy_fleet_changes_nothing(alarms, deployment):
    blue = deployment.traffic.blue
    deployment.update(FakeFleet(healthy=False), rollout())
    assert outcome(deployment) == ("InService", "one", "no ping")
    assert deployment.traffic.blue is blue
    assert not blue.stopped


@pytest.mark.parametrize("ringing", ["prod-errors", "prod-latency"])
def test_any_alarm_rolls_back(alarms, deployment, ringing):
    alarms.update({"prod-errors": "OK", "prod-latency": "OK", ringing: "ALARM"})
    green = FakeFleet()
    deployment.update(green, rollout(alarms=("prod-errors", "prod-latency")))
    status, config_name, reason = outcome(deployment)
    assert (status, config_name, green.stopped) == ("InService", "one", True)
    assert reason.endswith(f"in state ALARM: {ringing}")


def test_an_alarm_while_the_old_fleet_waits_to_go_rolls_back(alarms, deployment, monkeypatch):
    shift = deployment.traffic.shift

    def shift_and_ring(green, share):
        shift(green, share)
        threading.Timer(0.003, alarms.update, [{"prod-errors": "ALARM"}]).start()

    monkeypatch.setattr(deployment.traffic, "shift", shift_and_ring)
    deployment.update(FakeFleet(), Rollout((Step(1.0, 0),), 3600, 3600, ("prod-errors",)))
    assert outcome(deployment)[:2] == ("InService", "one")


def test_a_deployment_that_takes_too_long_rolls_back(alarms, deployment):
    deployment.update(FakeFleet(), rollout(timeout_s=-1))
    status, config_name, reason = outcome(deployment)
    assert (status, config_name) == ("InService", "one")
    assert "MaximumExecutionTimeoutInSeconds" in reason


def test_without_an_old_fleet_the_rollback_fails(alarms, deployment):
    deployment.traffic.blue.healthy = False
    deployment.update(FakeFleet(healthy=False), rollout())
    status, _, reason = outcome(deployment)
    assert status == "UpdateRollbackFailed"
    assert reason == "no ping The previous fleet does not answer either."


class Ping(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class FakeEngine:
    """Starts no process: something else listens, or nothing does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def pull(self, image, session):
        if isinstance(self.error, PullError):
            raise self.error

    def start(self, image, program):
        if isinstance(self.error, ExecError):
            raise self.error
        address = ("127.0.0.1", program.port)
        return SimpleNamespace(poll=lambda: None, stop=lambda grace_s: 0, address=address)


def model_server(tmp_path, monkeypatch, error: Exception | None = None) -> ModelServer:
    monkeypatch.setattr(server, "PING_TIMEOUT_S", 0.2)
    definition = {**VARIANT, "ContainerStartupHealthCheckTimeoutInSeconds": 0.5}
    model = {"PrimaryContainer": {"Image": "image"}, "EnableNetworkIsolation": True}
    session = SimpleNamespace(region="us-east-1")
    return ModelServer(Variant("glyphs", definition, model), FakeEngine(error), session, tmp_path)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_only_a_ping_of_200_is_healthy(tmp_path, monkeypatch, status, healthy):
    made = model_server(tmp_path, monkeypatch)
    with ThreadingHTTPServer(("127.0.0.1", made.port), Ping) as container:
        container.status = status
        threading.Thread(target=container.serve_forever, args=[0.01], daemon=True).start()
        if healthy:
            made.start()
            assert made.answers()
        else:
            with pytest.raises(Unhealthy, match="did not pass the ping health check"):
                made.start()
        made.stop()
        container.shutdown()


def test_a_ping_that_takes_too_long_is_none(tmp_path, monkeypatch):
    made = model_server(tmp_path, monkeypatch)
    with socket.create_server(("127.0.0.1", made.port)):
        with pytest.raises(Unhealthy):
            made.start()
        made.stop()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PullError("no such digest"), "Failed to pull the image .* AllTraffic: no such digest"),
        (ExecError('exec: "serve": not found'), "did not pass the ping health check"),
    ],
)
def test_an_image_that_cannot_run_says_why(tmp_path, monkeypatch, error, said):
    made = model_server(tmp_path, monkeypatch, error)
    with pytest.raises(Unhealthy, match=said):
        made.start()
    made.stop()

"""What SageMaker's statuses mean to the pipeline."""

import endpoint_status
import pytest
import training_status
from common.endings import Done
from common.failures import ActionFailed
from endpoint_status import endpoint_verdict
from training_status import training_verdict

STARTED = {
    "kind": "training-job",
    "training_job_name": "job",
    "serve_image": "repo@sha256:b",
    "commit": "c0ffee",
    "data_bucket": "data",
    "execution_id": "e-1",
}
DEPLOYED = {
    "kind": "endpoint-deployment",
    "endpoint_name": "ethnicity-pred-dev-kmm",
    "endpoint_config_name": "new",
    "previous_endpoint_config_name": "old",
}


def training(status, **more):
    return training_verdict(
        {"TrainingJobName": "job", "TrainingJobStatus": status, **more}, STARTED
    )


def endpoint(status, config="new", **more):
    description = {
        "EndpointName": "ethnicity-pred-dev-kmm",
        "EndpointStatus": status,
        "EndpointConfigName": config,
        **more,
    }
    return endpoint_verdict(description, DEPLOYED)


def test_a_completed_training_hands_over_model_and_metrics():
    done = training(
        "Completed",
        ModelArtifacts={"S3ModelArtifacts": "s3://models/training/job/output/model.tar.gz"},
        FinalMetricDataList=[{"MetricName": "validation_accuracy", "Value": 0.93}],
    )
    assert isinstance(done, Done)
    assert done.artifact["kind"] == "trained-model"
    assert done.artifact["metrics"] == {"validation_accuracy": 0.93}
    assert done.artifact["serve_image"] == STARTED["serve_image"]
    assert done.variables["ModelDataUrl"].endswith("model.tar.gz")


@pytest.mark.parametrize("status", sorted(training_status.WAITING))
def test_a_moving_training_is_waited_for(status):
    assert status in training(status, SecondaryStatus="Downloading")


def test_a_failed_training_fails_with_the_containers_own_reason():
    with pytest.raises(ActionFailed, match="ended as Failed: AlgorithmError: no label column"):
        training(
            "Failed", FailureReason="AlgorithmError: no label column", SecondaryStatus="Failed"
        )


def test_a_training_stopped_at_its_time_limit_says_which_limit():
    with pytest.raises(ActionFailed, match=r"MaxRuntimeExceeded.*TrainingMaxRuntimeSeconds"):
        training("Stopped", SecondaryStatus="MaxRuntimeExceeded")


def test_an_unknown_training_status_fails_the_job():
    with pytest.raises(ActionFailed, match="nobody here knows: 'Dreaming'"):
        training("Dreaming")


@pytest.mark.parametrize("status", sorted(endpoint_status.WAITING))
def test_a_moving_endpoint_is_waited_for(status):
    assert status in endpoint(status, config="old")


def test_an_endpoint_in_service_on_our_config_is_done():
    done = endpoint("InService")
    assert isinstance(done, Done)
    assert done.artifact["kind"] == "deployed-endpoint"
    assert done.artifact["status"] == "InService"
    assert done.artifact["previous_endpoint_config_name"] == "old"


def test_an_endpoint_in_service_on_the_old_config_was_rolled_back_and_fails():
    with pytest.raises(
        ActionFailed, match=r"InService on old, not on new.*rolled back.*ping failed"
    ):
        endpoint("InService", config="old", FailureReason="ping failed")


@pytest.mark.parametrize("status", sorted(endpoint_status.FAILED))
def test_a_broken_endpoint_fails_with_sagemakers_reason(status):
    with pytest.raises(ActionFailed, match=f"is {status}: no capacity"):
        endpoint(status, FailureReason="no capacity")


def test_an_unknown_endpoint_status_fails_the_job():
    with pytest.raises(ActionFailed, match="nobody here knows: 'Dreaming'"):
        endpoint("Dreaming")

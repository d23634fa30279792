"""ECR as strict as AWS: images, layers and tags that are not there are not there."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_cloud import images
from local_cloud.docker_cli import registry as client
from local_cloud.docker_cli.layers import Layer, pack
from local_cloud.docker_cli.store import Image, Store
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

ROOT = Path(__file__).resolve().parents[3]
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
PULL = ["ecr:BatchGetImage", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"]
PUSH = [
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
]
Push = Callable[..., str]


@pytest.fixture
def ecr(cloud: RunningCloud) -> Any:
    return cloud.client("ecr")


@pytest.fixture
def repository(ecr: Any) -> str:
    name = f"strict-{uuid.uuid4().hex[:8]}"
    ecr.create_repository(repositoryName=name)
    return name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "docker")


@pytest.fixture
def push(
    cloud: RunningCloud, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Push:
    """Push an image with one file as somebody; returns its digest."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)

    def run(repository: str, tag: str, content: str = "one", as_client: Any = None) -> str:
        ecr = as_client or cloud.client("ecr")
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        password = base64.b64decode(token).decode().partition(":")[2]
        client.login(HOST, "AWS", password)
        image = make_image(store, tmp_path / "files", content)
        client.push(store, image, f"{HOST}/{repository}:{tag}")
        return client.digest_of(image.manifest)

    return run


def make_image(store: Store, folder: Path, content: str) -> Image:
    folder.mkdir(exist_ok=True)
    (folder / "file.txt").write_text(content)
    layer: Layer = pack(folder, "COPY")
    config = {"config": {"Labels": {"local-cloud.environment": "/usr"}}, "created": content}
    return store.add(config, [layer])


def test_an_image_is_described_by_tag_and_by_digest(ecr: Any, repository: str, push: Push) -> None:
    digest = push(repository, "v1")
    for image_id in ({"imageTag": "v1"}, {"imageDigest": digest}):
        found = ecr.describe_images(repositoryName=repository, imageIds=[image_id])
        assert found["imageDetails"][0]["imageDigest"] == digest
        assert found["imageDetails"][0]["imageTags"] == ["v1"]
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v2"}])
    mixed = {"imageTag": "v1", "imageDigest": f"sha256:{'0' * 64}"}
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repository, imageIds=[mixed])


def test_a_tag_that_moves_leaves_the_old_image_untagged(
    ecr: Any, repository: str, push: Push
) -> None:
    old, new = push(repository, "v1", "one"), push(repository, "v1", "two")
    listed = ecr.list_images(repositoryName=repository)["imageIds"]
    assert {"imageDigest": new, "imageTag": "v1"} in listed
    assert {"imageDigest": old} in listed
    untagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})
    assert untagged["imageIds"] == [{"imageDigest": old}]


def test_deleting_one_of_two_tags_keeps_the_image(ecr: Any, repository: str, push: Push) -> None:
    digest = push(repository, "v1")
    push(repository, "v2")
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert found["imageDetails"][0]["imageTags"] == ["v2"]
    answer = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"


def test_layers_are_available_only_if_they_were_pushed(
    ecr: Any, repository: str, push: Push
) -> None:
    push(repository, "v1")
    manifest = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    layer = json.loads(manifest["images"][0]["imageManifest"])["layers"][0]["digest"]
    missing = f"sha256:{'0' * 64}"
    answer = ecr.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[layer, missing]
    )
    assert [found["layerDigest"] for found in answer["layers"]] == [layer]
    assert [failure["layerDigest"] for failure in answer["failures"]] == [missing]
    with pytest.raises(ecr.exceptions.LayersNotFoundException):
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=missing)


def test_a_download_url_is_good_for_its_layer_alone(ecr: Any, repository: str, push: Push) -> None:
    push(repository, "v1")
    manifest = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    parsed = json.loads(manifest["images"][0]["imageManifest"])
    layer, config = parsed["layers"][0]["digest"], parsed["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=layer)[
        "downloadUrl"
    ]
    with urllib.request.urlopen(url) as answer:
        assert len(answer.read()) == parsed["layers"][0]["size"]
    for other in (url.replace(layer, config), url.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(other)
        assert refused.value.code in (401, 403)


@pytest.mark.parametrize("missing", PUSH)
def test_a_push_needs_each_of_its_rights(
    repository: str,
    push: Push,
    acting_as: Callable[..., Any],
    allow: Callable[..., Any],
    missing: str,
) -> None:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    rights = [right for right in [*PUSH, "ecr:BatchCheckLayerAvailability"] if right != missing]
    some = acting_as(
        f"push-without-{missing[4:]}", allow("ecr:GetAuthorizationToken", "*"), allow(rights, arn)
    )
    with pytest.raises(client.RegistryError, match=missing):
        push(repository, "v1", as_client=some("ecr"))


@pytest.mark.parametrize("missing", PULL)
def test_a_pull_needs_each_of_its_rights(
    cloud: RunningCloud,
    repository: str,
    push: Push,
    make_role: Callable[..., str],
    allow: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    push(repository, "v1")
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path))
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    login = allow("ecr:GetAuthorizationToken", "*")
    rights = [right for right in PULL if right != missing]
    role = make_role(f"pull-without-{missing[4:]}", login, allow(rights, arn))
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="pull")["Credentials"]
    credentials = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    uri = f"{HOST}/{repository}:v1"
    with pytest.raises(images.ImageError, match=missing):
        images.unpack(uri, credentials, REGION)
    make_role(f"pull-without-{missing[4:]}", login, allow(PULL, arn))
    unpacked = images.unpack(uri, credentials, REGION)
    assert (unpacked.root / "file.txt").read_text() == "one"


def test_an_index_is_no_image_for_sagemaker(
    cloud: RunningCloud,
    repository: str,
    push: Push,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = push(repository, "v1")
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": client.MANIFEST_TYPE, "digest": digest, "size": 1}],
    }
    token = client.Credentials({"HOME": str(tmp_path)}).read(HOST)
    client.Registry(HOST, token).push_manifest(repository, "index", json.dumps(index).encode())
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path))
    admin = {
        "aws_access_key_id": cloud.access_key,
        "aws_secret_access_key": cloud.secret_key,
    }
    with pytest.raises(images.ImageError, match="--provenance=false"):
        images.unpack(f"{HOST}/{repository}:index", admin, REGION)


def test_a_repository_with_images_is_deleted_by_force_only(
    ecr: Any, repository: str, push: Push
) -> None:
    digest = push(repository, "v1")
    with pytest.raises(ecr.exceptions.RepositoryNotEmptyException):
        ecr.delete_repository(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])


@pytest.fixture
def findings(cloud: RunningCloud) -> Iterator[Callable[..., None]]:
    """Let every scan find problems of these severities."""
    path = cloud.state / "ecr" / "scan-findings.json"
    path.parent.mkdir(exist_ok=True)

    def let(*severities: str) -> None:
        found = [{"name": f"CVE-{n}", "severity": each} for n, each in enumerate(severities)]
        path.write_text(json.dumps(found))

    yield let
    path.unlink(missing_ok=True)


def gate(cloud: RunningCloud, repository: str, digest: str) -> subprocess.CompletedProcess[str]:
    variables = cloud.environment()
    path = f"{ROOT / '.tools/aws/bin'}:{variables['PATH']}"
    command = ["bash", str(ROOT / "model-code/scan_gate.sh"), repository, digest]
    return subprocess.run(command, env=variables | {"PATH": path}, capture_output=True, text=True)


def test_a_scan_runs_for_a_while_and_tells_what_the_file_says(
    ecr: Any, push: Push, findings: Callable[..., None]
) -> None:
    findings("HIGH", "CRITICAL", "HIGH")
    repository = scanned(ecr)
    image = {"repositoryName": repository, "imageId": {"imageDigest": push(repository, "v1")}}
    assert ecr.describe_image_scan_findings(**image)["imageScanStatus"]["status"] == "IN_PROGRESS"
    ecr.get_waiter("image_scan_complete").wait(**image, WaiterConfig={"Delay": 1})
    found = ecr.describe_image_scan_findings(**image)["imageScanFindings"]
    assert found["findingSeverityCounts"] == {"HIGH": 2, "CRITICAL": 1}
    assert len(found["findings"]) == 3


def test_only_a_repository_that_asks_for_it_is_scanned(
    ecr: Any, repository: str, push: Push
) -> None:
    names = [scanned(ecr), repository, "nowhere"]
    answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=names)
    assert [(c["scanOnPush"], c["scanFrequency"]) for c in answer["scanningConfigurations"]] == [
        (True, "SCAN_ON_PUSH"),
        (False, "MANUAL"),
    ]
    assert [failure["repositoryName"] for failure in answer["failures"]] == ["nowhere"]
    digest = push(repository, "v1")
    with pytest.raises(ecr.exceptions.ScanNotFoundException):
        ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageDigest": digest})


@pytest.mark.parametrize(
    ("severities", "passes"), [((), True), (("HIGH", "LOW"), True), (("LOW", "CRITICAL"), False)]
)
def test_the_gate_of_the_build_stops_critical_findings_alone(
    cloud: RunningCloud,
    ecr: Any,
    push: Push,
    findings: Callable[..., None],
    severities: tuple[str, ...],
    passes: bool,
) -> None:
    findings(*severities)
    repository = scanned(ecr)
    done = gate(cloud, repository, push(repository, "v1"))
    assert (done.returncode == 0) == passes, done.stderr
    assert ("no critical finding" in done.stdout) == passes
    assert ("has 1 critical findings" in done.stderr) != passes


def scanned(ecr: Any) -> str:
    name = f"scanned-{uuid.uuid4().hex[:8]}"
    scanning = {"scanOnPush": True}
    ecr.create_repository(repositoryName=name, imageScanningConfiguration=scanning)
    return name


def test_members_that_would_be_ignored_are_refused_by_name(ecr: Any, repository: str) -> None:
    with pytest.raises(ClientError, match="maxResults"):
        ecr.list_images(repositoryName=repository, maxResults=5)
    with pytest.raises(ClientError, match="StartImageScan is not emulated"):
        ecr.start_image_scan(repositoryName=repository, imageId={"imageTag": "v1"})

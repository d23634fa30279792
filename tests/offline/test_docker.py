"""The demo on a Docker engine: images are built, tested, pushed, pulled and run for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from demo.__main__ import play
from demo.story import ROOT, Story
from local_cloud import engines
from local_cloud.launcher import RunningCloud
from rich.console import Console

pytestmark = [pytest.mark.docker, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The demo, played to its end; nothing of it may be left then."""
    try:
        engines.require_docker()
    except engines.NoEngine as reason:
        pytest.skip(str(reason))
    work = tmp_path_factory.mktemp("docker-demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(engines.VARIABLE, engines.DOCKER)
        with RunningCloud(work / "cloud") as cloud:
            console = Console(file=(work / "console.txt").open("w"), width=120)
            played = Story(cloud, console, None, work, ROOT / ".tools/aws/bin")
            play(played)
            yield played
        assert containers(played) == []
        tested = f"model-test:{tags(played)[0].rpartition('-')[0]}"
        engines.docker("rmi", tested, *(f"{image(played)}:{tag}" for tag in tags(played)))


def containers(story: Story) -> list[str]:
    """The images of this cloud's containers."""
    label = f"label={engines.label(story.cloud.state)}"
    found = engines.docker("ps", "--all", "--quiet", "--filter", label).stdout.split()
    inspected = (
        engines.docker("inspect", "--format", "{{.Config.Image}}", *found) if found else None
    )
    return inspected.stdout.split() if inspected else []


def image(story: Story) -> str:
    """Docker's name of the repository."""
    name = story.pipeline["ImageRepositoryUri"].partition("/")[2]
    return f"{engines.registry(story.cloud.url)}/{name}"


def tags(story: Story) -> list[str]:
    return engines.docker("images", "--format", "{{.Tag}}", image(story)).stdout.split()


def bill(story: Story, target: str) -> dict[str, Any]:
    """The list of what an image holds."""
    s3, bucket = story.cloud.client("s3"), story.pipeline["ModelArtifactsBucket"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="sboms/")["Contents"]
    (key,) = [item["Key"] for item in listed if item["Key"].endswith(f"-{target}.cdx.json")]
    document: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return document


def test_both_endpoints_answer_from_containers_of_the_pushed_image(story: Story):
    found = story.cloud.client("ecr").describe_images(repositoryName=image(story).partition("/")[2])
    pushed = {each["imageTags"][0]: each["imageDigest"] for each in found["imageDetails"]}
    (serve,) = [digest for tag, digest in pushed.items() if tag.endswith("-serve")]
    assert sorted(pushed) == sorted(tags(story))
    assert containers(story) == [f"{image(story)}@{serve}"] * 2


def test_the_lists_are_of_the_images_and_not_of_this_machine(story: Story):
    for target, package in (("train", "torch"), ("serve", "onnxruntime")):
        (tag,) = [tag for tag in tags(story) if tag.endswith(f"-{target}")]
        version = engines.docker("run", "--rm", f"{image(story)}:{tag}", "python3", "-V").stdout
        urls = [part["purl"] for part in bill(story, target)["components"]]
        assert f"pkg:generic/python@{version.split()[1]}" in urls
        assert [url for url in urls if url.startswith(f"pkg:pypi/{package}@")]
        assert [url for url in urls if url.startswith("pkg:deb/")]

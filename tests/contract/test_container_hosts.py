"""`train` on two hosts with a network between them, which may break."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from containers import MODEL_CODE, ProcessImages, lay_out, log_of, train, wait_for

sys.path.append(str(MODEL_CODE / "tests"))

from tiny import TINY, WORDS, draw, write_pixel_csv

ENDLESS = {"epochs": "1000", "patience": "1000"}
SPACES = tuple(f"two-hosts-{os.getpid()}-{side}" for side in "ab")
LINKS = ("hosta", "hostb")


@dataclass(frozen=True)
class Network:
    """Two places to run a program: network namespaces, or else two addresses of this machine."""

    addresses: tuple[str, str]
    interfaces: tuple[str, str]
    prefixes: tuple[tuple[str, ...], tuple[str, ...]]

    def cut(self) -> None:
        ip("-n", SPACES[0], "link", "set", LINKS[0], "down")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def connect() -> Network:
    """Lay a cable between two namespaces."""
    addresses = ("10.79.0.1", "10.79.0.2")
    for space in SPACES:
        ip("netns", "add", space)
    ip("link", "add", LINKS[0], "netns", SPACES[0], "type", "veth",
       "peer", "name", LINKS[1], "netns", SPACES[1])  # fmt: skip
    for space, link, address in zip(SPACES, LINKS, addresses, strict=True):
        ip("-n", space, "addr", "add", f"{address}/24", "dev", link)
        for each in ("lo", link):
            ip("-n", space, "link", "set", each, "up")
    a, b = (("ip", "netns", "exec", space) for space in SPACES)
    return Network(addresses, LINKS, (a, b))


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    try:
        made = connect()
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or error
        warnings.warn(f"no network namespaces (root and iproute2 make them): {why}", stacklevel=1)
        made = Network(("127.0.0.1", "127.0.0.2"), ("lo", "lo"), ((), ()))
    yield made
    for space in SPACES:
        subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@dataclass
class Pair:
    """A job on two hosts, each with an /opt/ml of its own."""

    images: ProcessImages
    network: Network
    running: list[subprocess.Popen[str]]
    roots: tuple[Path, Path]

    def lay_out(self, **hyperparameters: str) -> None:
        for place, root in enumerate(self.roots):
            root.mkdir()
            lay_out(
                root,
                self.images,
                TINY | {"peer_timeout_s": "3"} | hyperparameters,
                current_host=self.network.addresses[place],
                hosts=list(self.network.addresses),
                network_interface_name=self.network.interfaces[place],
            )
            write_pixel_csv(root / "input/data/train/train.csv", draw(90))
            write_pixel_csv(root / "input/data/validation/validation.csv", draw(30, seed=1))

    def start(self) -> list[subprocess.Popen[str]]:
        self.running[:] = [
            start(self.images, root, prefix)
            for root, prefix in zip(self.roots, self.network.prefixes, strict=True)
        ]
        return self.running

    def wait(self, limit_s: float = 120) -> list[int]:
        return [process.wait(timeout=limit_s) for process in self.running]

    def failures(self) -> list[str]:
        paths = [root / "output/failure" for root in self.roots]
        return [path.read_text() if path.exists() else "" for path in paths]

    def logs(self) -> str:
        return "\n".join(log_of(root, "train") for root in self.roots)


def start(images: ProcessImages, root: Path, prefix: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start `train` at a place of its own, which is not for the engine to choose."""
    program = [str(images.image("train").environment / "bin/python"), str(MODEL_CODE / "train")]
    environ = {"PATH": os.environ["PATH"], "ML_ROOT": str(root), "OMP_NUM_THREADS": "1"}
    with (root / "train.log").open("a") as log:
        return subprocess.Popen(
            [*prefix, *program], env=environ, stdout=log, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture
def pair(processes: ProcessImages, network: Network, running, tmp_path: Path) -> Pair:
    return Pair(processes, network, running, (tmp_path / "a", tmp_path / "b"))


def card_of(root: Path) -> dict:
    return json.loads((root / "model/model.json").read_text())


def test_two_hosts_learn_what_one_does_and_one_writes(pair: Pair, tmp_path: Path):
    pair.lay_out()
    pair.start()
    assert pair.wait() == [0, 0], pair.logs()
    report = json.loads((pair.roots[0] / "model/report.json").read_text())
    assert report["hosts"] == 2
    for folder in ("model", "checkpoints"):
        assert (pair.roots[0] / folder).is_dir()
        assert not (pair.roots[1] / folder).exists()
    alone = tmp_path / "alone"
    shutil.copytree(pair.roots[0] / "input", alone / "input")
    lay_out(alone, pair.images, TINY)
    assert train(pair.images, alone) == 0
    both, one = card_of(pair.roots[0]), card_of(alone)
    assert both["metrics"]["accuracy"] >= 0.9
    assert abs(both["metrics"]["accuracy"] - one["metrics"]["accuracy"]) <= 0.1


@pytest.mark.parametrize(
    ("killed", "left"), [pytest.param(1, 0), pytest.param(0, 1, marks=pytest.mark.hard)]
)
def test_a_killed_host_ends_the_other_and_both_can_go_on(pair: Pair, killed: int, left: int):
    pair.lay_out(**ENDLESS)
    processes = pair.start()
    wait_for("epoch=2 ", pair.roots[0])
    processes[killed].kill()
    assert processes[left].wait(timeout=60) == 1, pair.logs()
    told = pair.failures()[left]
    assert f"lost host {pair.network.addresses[killed]}: not heard of" in told
    assert "start the training again" in told
    assert not any((root / "model").exists() for root in pair.roots)

    processes = pair.start()  # only the first host has a checkpoint
    for root in pair.roots:
        wait_for("resumed epoch=", root)
    processes[1].send_signal(signal.SIGTERM)  # one is asked, all stop
    assert pair.wait() == [0, 0], pair.logs()
    numbers = [epoch["epoch"] for epoch in card_of(pair.roots[0])["training"]["epochs"]]
    assert len(numbers) >= 2
    assert numbers == list(range(1, len(numbers) + 1))


def test_what_one_host_fails_of_is_told_by_both(pair: Pair):
    pair.lay_out()
    file = pair.roots[1] / "input/data/train/train.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], lines[3].rsplit(" ", 1)[0] + " 300"]))
    pair.start()
    assert pair.wait() == [1, 1], pair.logs()
    reason = "OutOfRangeError: train.csv: row 3: pixel 2304 is 300, not in 0-255"
    first, second = pair.failures()
    assert second == reason
    assert f"host {pair.network.addresses[1]} failed: {reason}" in first


def test_hosts_learn_from_shards_of_their_own(pair: Pair):
    pair.lay_out()
    shards = {"train": {"S3DistributionType": "ShardedByS3Key"}, "validation": {}}
    for root, words in zip(pair.roots, (WORDS[:2], WORDS[1:]), strict=True):
        write_pixel_csv(root / "input/data/train/train.csv", draw(60, words=words))
        (root / "input/config/inputdataconfig.json").write_text(json.dumps(shards))
    naming = {"names": {"flat": "Flat"}, "sensitive": False}
    (pair.roots[1] / "input/data/train/labels.json").write_text(json.dumps(naming))
    pair.start()
    assert pair.wait() == [0, 0], pair.logs()
    card = card_of(pair.roots[0])
    assert card["labels"] == ["bars", "beams", "Flat"]
    assert card["sensitive"] is False
    assert card["data"]["rows"] == 120
    assert card["metrics"]["accuracy"] >= 0.9


@pytest.mark.hard
def test_hosts_that_cannot_reach_each_other_end_both(pair: Pair):
    if not pair.network.prefixes[0]:
        pytest.skip("needs network namespaces: run as root, with iproute2")
    pair.lay_out(**ENDLESS)
    pair.start()
    wait_for("epoch=2 ", pair.roots[0])
    pair.network.cut()
    assert pair.wait(60) == [1, 1], pair.logs()
    for told, other in zip(pair.failures(), reversed(pair.network.addresses), strict=True):
        assert f"lost host {other}: not heard of" in told

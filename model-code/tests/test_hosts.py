"""More than one host: places, shares, and who is to blame when one is lost."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tiny import TINY, WORDS

torch = pytest.importorskip("torch")

from ethnicity_prediction import job  # noqa: E402
from ethnicity_prediction.config import parse  # noqa: E402
from ethnicity_prediction.errors import BadInputError, MalformedError  # noqa: E402
from ethnicity_prediction.fit import Fit  # noqa: E402
from ethnicity_prediction.hosts import Group, group_from, read_group  # noqa: E402
from ethnicity_prediction.liveness import Hearing, Watch  # noqa: E402
from ethnicity_prediction.model import Network  # noqa: E402
from ethnicity_prediction.paths import Paths  # noqa: E402

TWO = {"hosts": ["algo-2", "algo-1"], "current_host": "algo-2"}
SHARDED = {"train": {"S3DistributionType": "ShardedByS3Key"}}
WHOLE = {"validation": {"S3DistributionType": "FullyReplicated"}}


def test_a_single_host_needs_no_group():
    assert group_from({}, {}) == Group()
    assert group_from({"hosts": ["algo-1"], "current_host": "algo-1"}, SHARDED) == Group()


def test_hosts_are_ranked_by_name(tmp_path: Path):
    resources = TWO | {"network_interface_name": "eth0"}
    place = Group(1, ("algo-1", "algo-2"), "eth0")
    assert group_from(resources, WHOLE) == place
    (tmp_path / "resourceconfig.json").write_text(json.dumps(resources))
    assert read_group(tmp_path) == place
    with pytest.raises(MalformedError, match="not among"):
        group_from(TWO | {"current_host": "algo-9"}, {})


def test_a_shard_is_known_by_sagemaker_s_word_for_it():
    assert group_from(TWO, SHARDED | WHOLE).sharded
    assert not group_from(TWO, {"train": {}} | WHOLE).sharded


@pytest.mark.parametrize("channels", [SHARDED, SHARDED | {"validation": SHARDED["train"]}])
def test_what_measures_the_model_must_be_whole_on_the_first_host(channels):
    with pytest.raises(MalformedError, match="needs a channel validation that is FullyReplicated"):
        group_from(TWO, channels)


def fit_of(group: Group, **given: str) -> Fit:
    network, prior = Network(len(WORDS), 1, 4, 0.0), np.full(len(WORDS), 1 / len(WORDS))
    cpu = torch.device("cpu")
    return Fit(network, parse(TINY | given), prior, budget_s=1, group=group, device=cpu)


def test_two_hosts_share_out_the_rows_of_one():
    single, first, second = (
        fit_of(group) for group in (Group(), Group(0, ("a", "b")), Group(1, ("a", "b")))
    )
    whole = single._batches(32, 32, seed=3)
    halves = [fit._batches(32, 16, seed=3) for fit in (first, second)]
    assert len(whole) == len(halves[0]) == len(halves[1])
    assert sorted(np.concatenate(whole)) == sorted(np.concatenate(halves[0] + halves[1]))


@pytest.mark.parametrize(
    ("hosts", "batch_size", "rows"), [(1, 2, 3), (1, 2, 7), (2, 4, 14), (3, 6, 23), (20, 40, 101)]
)
def test_no_host_ever_has_less_than_two_images_in_a_step(hosts, batch_size, rows):
    group = Group(0, tuple(f"algo-{i}" for i in range(hosts)))
    fit, share = fit_of(group, batch_size=str(batch_size)), rows // hosts
    sizes = [len(batch) for batch in fit._batches(rows, share, seed=3)]
    assert min(sizes) >= 2
    assert sum(sizes) == share


def test_too_few_images_in_a_step_for_so_many_hosts_are_refused(tmp_path: Path):
    told = "batch_size is 16 for 20 hosts, .* set it to 40 or more, or train on 8 host"
    with pytest.raises(BadInputError, match=told):
        parse({"batch_size": "16"}, hosts=20)
    assert parse({"batch_size": "40"}, hosts=20).batch_size == 40
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/config/resourceconfig.json").write_text(json.dumps(TWO))
    (tmp_path / "input/config/hyperparameters.json").write_text('{"batch_size": "2"}')
    with pytest.raises(BadInputError, match="batch_size is 2 for 2 hosts"):
        job.run(Paths(tmp_path), {}, lambda: False)


def test_a_host_with_rows_of_its_own_uses_them_all():
    fit = fit_of(Group(1, ("a", "b"), sharded=True))
    assert sorted(np.concatenate(fit._batches(16, 16, seed=3))) == list(range(16))


def hearing(rank: int = 0) -> Hearing:
    heard = Hearing(("a", "b", "c"), rank, began=0.0)
    heard.take(["1 ", "1 ", "1 "], now=1.0)
    return heard


def test_hosts_that_speak_are_not_suspected():
    heard = hearing()
    for second in range(2, 60):
        heard.take([f"{second} "] * 3, now=second)
        assert heard.verdict(second + 0.9, silence_s=5) is None


def test_a_host_that_repeats_itself_is_lost_after_its_time():
    heard = hearing()
    for second in range(2, 8):
        heard.take([f"{second} ", "1 ", f"{second} "], now=second)
    assert heard.verdict(5.9, silence_s=5) is None
    told = heard.verdict(7.0, silence_s=5)
    assert told.startswith("lost host b: not heard of for 6 s.")
    assert "start the training again" in told


def test_who_hears_nothing_at_all_suspects_the_host_that_keeps_it():
    assert hearing(rank=1).verdict(9.0, silence_s=5).startswith("lost host a: ")
    assert hearing(rank=0).verdict(9.0, silence_s=5).startswith("lost host b, c: ")


def test_a_host_that_never_spoke_is_lost_too():
    silent = Hearing(("a", "b"), 0, began=0.0)
    assert silent.verdict(4.0, silence_s=5) is None
    assert silent.verdict(6.0, silence_s=5).startswith("lost host b: ")


def test_a_host_s_own_reason_is_passed_on():
    heard = hearing()
    heard.take(["2 ", "2 MalformedError: train.csv: row 3", "2 "], now=2.0)
    assert heard.verdict(2.0, silence_s=5) == "host b failed: MalformedError: train.csv: row 3"


class Board:
    """A store in this process."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.broken = False

    def set(self, key: str, value: str) -> None:
        if self.broken:
            raise RuntimeError("Connection reset by peer")
        self.texts[key] = value

    def multi_get(self, keys: list[str]) -> list[bytes]:
        return [self.texts.get(key, "0 ").encode() for key in keys]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from ethnicity_prediction import liveness

    for name, seconds in {"BEAT_S": 0.05, "SOON_S": 0.5, "GRACE_S": 0.05}.items():
        monkeypatch.setattr(liveness, name, seconds)


def test_a_host_that_hangs_is_ended_with_the_reason(quick):
    reasons, ended = [], threading.Event()

    def give_up(reason: str) -> None:
        reasons.append(reason)
        ended.set()

    watch = Watch(Board(), ("a", "b"), 0, silence_s=0.1, give_up=give_up)
    assert ended.wait(10)
    watch.stop()
    assert reasons[0].startswith("lost host b: ")


def test_a_silence_that_ends_within_the_grace_ends_nothing(quick, monkeypatch):
    from ethnicity_prediction import liveness

    monkeypatch.setattr(liveness, "GRACE_S", 0.5)
    board, reasons = Board(), []
    watch = Watch(board, ("a", "b"), 0, silence_s=0.1, give_up=reasons.append)
    end = time.monotonic() + 10
    while watch._verdict() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    speaking = Watch(board, ("a", "b"), 1, silence_s=1000, give_up=pytest.fail)
    time.sleep(1)
    assert watch._verdict() is None
    assert reasons == []
    speaking.stop()
    watch.stop()


def test_a_broken_connection_has_somebody_to_blame(quick):
    board = Board()
    watch = Watch(board, ("a", "b"), 1, silence_s=1000, give_up=pytest.fail)
    time.sleep(0.1)
    assert watch.blame(MalformedError("our own fault")) is None
    board.broken = True
    assert watch.blame(RuntimeError("Connection closed by peer")).startswith("lost host a: ")
    watch.stop()


def test_an_error_of_our_own_is_told_to_the_others_and_blamed_on_nobody(quick):
    board, told = Board(), []
    one, other = (Watch(board, ("a", "b"), rank, 1000, told.append) for rank in (0, 1))
    assert one.blame(RuntimeError("out of memory")) is None
    assert told == []
    one.tell("RuntimeError: out of memory")
    assert other.blame(RuntimeError("closed")) == "host a failed: RuntimeError: out of memory"
    one.stop()
    other.stop()

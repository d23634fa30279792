"""Which workers are replaced, and when the supervisor gives up."""

import socket
import time
from pathlib import Path

import pytest
from ethnicity_prediction.server import CANNOT_LOAD, QUICK_LIMIT, QUICK_S, Supervisor


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """One whose workers are numbers."""
    listener = socket.socket()
    made = Supervisor(Path("model"), listener, workers=1)
    made.born = 0

    def start(slot: int) -> None:
        made.born += 1
        made.started[made.born] = slot, time.monotonic()

    monkeypatch.setattr(made, "_start", start)
    monkeypatch.setattr(made, "_stop", lambda: setattr(made, "stopping", True))
    start(0)
    yield made
    listener.close()


def end(supervisor: Supervisor, code: int, lived: float = 0.0) -> None:
    [(pid, (slot, began))] = supervisor.started.items()
    supervisor.started[pid] = slot, began - lived
    supervisor._ended(pid, code)


def test_workers_that_are_told_to_leave_are_always_replaced(supervisor: Supervisor):
    for _ in range(3 * QUICK_LIMIT):
        end(supervisor, code=0)
    assert not supervisor.stopping
    assert supervisor.born == 1 + 3 * QUICK_LIMIT


def test_workers_that_fail_at_once_again_and_again_are_given_up(supervisor: Supervisor):
    for _ in range(QUICK_LIMIT):
        assert not supervisor.stopping
        end(supervisor, code=-11)
    assert supervisor.stopping
    assert supervisor.exit_code == 1


def test_one_that_lived_long_or_left_in_peace_begins_the_count_anew(supervisor: Supervisor):
    for peaceful in ({"code": -11, "lived": QUICK_S + 1}, {"code": 0}):
        for _ in range(QUICK_LIMIT - 1):
            end(supervisor, code=-11)
        end(supervisor, **peaceful)
    assert not supervisor.stopping


def test_without_a_model_no_second_worker_is_tried(supervisor: Supervisor):
    end(supervisor, code=CANNOT_LOAD)
    assert supervisor.stopping
    assert supervisor.exit_code == 1
    assert supervisor.born == 1

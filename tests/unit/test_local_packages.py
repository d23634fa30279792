"""What a function's process finds beside its own code."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from local_cloud.lambda_runtime import packages


def test_first_cold_starts_at_the_same_time_find_the_same_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(packages, "_closure", lambda _name: {tmp_path / "library"})
    link = Path.symlink_to

    def slowly(self: Path, target: Path) -> None:
        time.sleep(0.02)  # for the others to come as far
        link(self, target)

    monkeypatch.setattr(Path, "symlink_to", slowly)
    (tmp_path / "library").mkdir()
    started = threading.Barrier(4)
    first = packages.runtime_packages.__wrapped__  # the cache lets them all in

    def cold_start(_number: int) -> Path:
        started.wait()
        return first()

    with ThreadPoolExecutor(4) as pool:
        [folder] = set(pool.map(cold_start, range(4)))
    assert (folder / "library").resolve() == tmp_path / "library"

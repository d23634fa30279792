"""Serving under minutes of mixed load; `SOAK_MINUTES` says how many."""

import os
from pathlib import Path

import pytest
from bench.soak import ours, soak, told
from containers import ProcessImages

MINUTES = float(os.environ.get("SOAK_MINUTES", "0.5"))


@pytest.mark.hard
@pytest.mark.timeout(MINUTES * 60 + 300)
def test_no_request_fails_and_memory_is_flat(processes: ProcessImages, trained_on_glyphs: Path):
    python = processes.image("serve").environment / "bin/python"
    server = ours(str(python), trained_on_glyphs)
    server.start()
    report = soak(server, MINUTES * 60)
    print(told(report))
    assert report.faults() == []
    assert report.outcome.answered > 500
    assert report.replaced >= 2

"""The number of workers: what was asked for, or what the container may use."""

import math
from pathlib import Path

import pytest
from ethnicity_prediction import cpus


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.5),
    ],
)
def test_a_quota_is_read_from_the_cgroup_of_either_version(tmp_path: Path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus.quota(tmp_path) == expected


@pytest.mark.parametrize(
    ("asked", "available", "expected"),
    [("", 64, 64), ("", 2.0, 2), ("", 1.5, 2), ("", 0.5, 1), ("3", 64, 3), ("8", 2.0, 8)],
)
def test_there_are_as_many_as_asked_for_or_one_for_each_cpu(asked, available, expected):
    assert cpus.workers(asked, available) == expected


@pytest.mark.parametrize("asked", ["0", "-1", "1001", "1.5", "two", " ", "²"])
def test_a_number_that_is_none_is_told(asked):
    with pytest.raises(ValueError, match=f"SAGEMAKER_MODEL_SERVER_WORKERS is '{asked}'; it must"):
        cpus.workers(asked, 2)

"""The zips themselves: their names, their contents, and that they can be made again exactly."""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from zip_lambda import zip_lambda

ROOT = Path(__file__).resolve().parents[3]
PUBLIC_NAMES = [
    "Ethnicity-Pred-DeployModel",
    "Ethnicity-Pred-EvaluateModel",
    "Ethnicity-Pred-GetStatus",
    "Ethnicity-Pred-InferenceEndpoint-Proxy",
    "Ethnicity-Pred-TrainModel",
]


def test_there_is_one_zip_for_each_public_name(zips):
    assert sorted(zips) == PUBLIC_NAMES
    assert [path.name for path in zips.values()] == [f"{name}.py.zip" for name in PUBLIC_NAMES]


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_the_handler_stands_at_the_root_under_the_zips_stem(zips, name):
    with zipfile.ZipFile(zips[name]) as archive:
        files = archive.namelist()
    assert f"{name}.py" in files
    assert {path.split("/")[0] for path in files if "/" in path} == {"common"}


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_zip_holds_sources_alone_readable_by_lambda_and_undated(zips, name):
    with zipfile.ZipFile(zips[name]) as archive:
        for info in archive.infolist():
            path = PurePosixPath(info.filename)
            assert path.suffix == (".json" if path.is_relative_to("common/models") else ".py")
            assert "__pycache__" not in info.filename
            assert info.external_attr >> 16 == 0o100644
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
    assert zips[name].stat().st_size < 80_000


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_the_same_sources_make_the_same_bytes(zips, tmp_path, name):
    copied = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "lambda-code" / name, copied / name)
    shutil.copytree(ROOT / "lambda-code/common", copied / "common")
    (copied / "common/__pycache__").mkdir(exist_ok=True)
    (copied / "common/__pycache__/job.cpython-311.pyc").write_bytes(b"stale")
    for path in copied.rglob("*"):
        os.utime(path, (time.time() + 1e6,) * 2)
        path.chmod(0o755 if path.is_dir() else 0o600)
    again = tmp_path / f"{name}.py.zip"
    zip_lambda(again, copied / name, copied / "common")
    assert again.read_bytes() == zips[name].read_bytes()


def test_a_zip_that_would_be_named_wrongly_is_not_made(tmp_path):
    folder, common = ROOT / "lambda-code" / PUBLIC_NAMES[0], ROOT / "lambda-code/common"
    with pytest.raises(SystemExit, match=r"Ethnicity-Pred-DeployModel\.py\.zip"):
        zip_lambda(tmp_path / "deploy.zip", folder, common)
    assert not list(tmp_path.iterdir())


def test_two_files_of_one_name_are_not_let_into_a_zip(tmp_path):
    function = tmp_path / "F"
    (function / "common").mkdir(parents=True)
    (function / "F.py").touch()
    (function / "common/job.py").touch()
    with pytest.raises(SystemExit, match=r"would be common/job\.py"):
        zip_lambda(tmp_path / "F.py.zip", function, ROOT / "lambda-code/common")


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_function_imports_without_any_environment_and_offers_its_handler(zips, name):
    program = (
        f"import sys, importlib; sys.path.insert(0, {str(zips[name].parent / name)!r}); "
        f"assert callable(importlib.import_module({name!r}).lambda_handler)"
    )
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program], env={}, check=False)
    assert done.returncode == 0

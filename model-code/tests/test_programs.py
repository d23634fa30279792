"""`train` and `serve` as programs: exit codes, the failure file, and what they import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import prepare

PROGRAM = Path(__file__).resolve().parent.parent


def run(program: str, root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    environ |= {"ML_ROOT": str(root), "OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, str(PROGRAM / program)]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("program", ["train", "serve"])
def test_programs_are_executable_by_name(program):
    assert os.access(PROGRAM / program, os.X_OK)
    assert (PROGRAM / program).read_text().startswith("#!/usr/bin/env python3\n")


def test_a_failed_training_says_why_where_sagemaker_looks(tmp_path: Path):
    pytest.importorskip("torch")
    prepare(tmp_path, train=9, validation=0, epochs="many", **{"x" * 3000: "1"})
    done = run("train", tmp_path)
    assert done.returncode == 1
    reason = (tmp_path / "output/failure").read_text()
    assert "epochs is 'many'; it must be a whole number" in reason
    assert len(reason) <= 1024
    assert "Traceback" not in reason
    assert "Traceback" in done.stdout + done.stderr
    assert not (tmp_path / "model").exists()


BESIDE = """
import runpy, sys, threading, torch

def work():
    while True:
        torch.add(ones, ones)

ones = torch.ones(1000)
threading.Thread(target=work, daemon=True).start()
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize(("epochs", "code"), [("1", 0), ("many", 1)])
def test_train_ends_with_its_code_whatever_a_thread_is_doing_in_torch(tmp_path, epochs, code):
    pytest.importorskip("torch")
    prepare(tmp_path, train=24, validation=0, epochs=epochs)
    environ = os.environ | {"ML_ROOT": str(tmp_path), "PYTHONPATH": str(PROGRAM)}
    command = [sys.executable, "-c", BESIDE, str(PROGRAM / "train")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "model/model.json").exists() == (code == 0)
    assert ("saved model=" in done.stdout) == (code == 0)


def test_serve_without_a_model_ends_and_says_so(tmp_path: Path):
    done = run("serve", tmp_path, SAGEMAKER_BIND_TO_PORT="0")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert any("no model.json in" in line.get("traceback", "") for line in lines)


def test_serve_refuses_a_number_of_workers_that_is_none(tmp_path: Path):
    done = run("serve", tmp_path, SAGEMAKER_BIND_TO_PORT="0", SAGEMAKER_MODEL_SERVER_WORKERS="all")
    assert done.returncode == 1
    [line] = map(json.loads, done.stdout.splitlines())
    assert line["message"].startswith("SAGEMAKER_MODEL_SERVER_WORKERS is 'all'; it must be")


def test_a_broken_graph_ends_serve(trained: Path, tmp_path: Path):
    (tmp_path / "model").mkdir()
    card = (trained / "model/model.json").read_text()
    (tmp_path / "model/model.json").write_text(card)
    (tmp_path / "model/model.onnx").write_bytes(b"no graph")
    assert run("serve", tmp_path, SAGEMAKER_BIND_TO_PORT="0").returncode == 1


def test_serving_needs_no_training_framework():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ethnicity_prediction import app, export, server\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'onnx', 'pandas')])"
    )
    command = [sys.executable, "-c", code, str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["predictor", "convert"])
def test_onnx_runtime_keeps_no_identifier_and_reports_to_nobody(tmp_path: Path, module: str):
    if module == "convert":
        pytest.importorskip("torch")
    script = f"""
import ethnicity_prediction.{module}, onnxruntime
try:
    onnxruntime.InferenceSession(b"no graph")
except onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf:
    print("tried")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        cwd=PROGRAM,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "tried\n"
    assert list(tmp_path.iterdir()) == []

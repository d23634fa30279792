"""The product does not know the local cloud: no import, no address, no switch of its own."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("lambda-code", "model-code", "notebooks", "01-prep.yml", "02-build-pipeline.yml")
TESTS_OF_THE_MODEL = ROOT / "model-code" / "tests"
LOCAL_WORDS = re.compile(r"localhost|127\.0\.0\.1|ministack|local_cloud", re.IGNORECASE)
SWITCH = re.compile(
    r"offline|emulat|simulat|is_local|run_local|mock|fake|localstack", re.IGNORECASE
)
NOT_SHIPPED = {"local_cloud", "ministack", "moto", "scripts", "tests", "demo", "bench"}


def tracked(*places: str) -> list[Path]:
    """Return the files of the product that git knows or would take, as far as they are text."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *places]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def product_files() -> list[Path]:
    return [path for path in tracked(*PRODUCT) if TESTS_OF_THE_MODEL not in path.parents]


def is_python(path: Path) -> bool:
    return path.suffix == ".py" or path.read_text(errors="replace").startswith("#!/usr/bin/env py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


def environment_names(path: Path) -> Iterator[str]:
    """Yield the variables that a file reads by name from os.environ or a mapping called so."""
    for node in ast.walk(ast.parse(path.read_text())):
        key = None
        if isinstance(node, ast.Subscript) and "environ" in ast.unparse(node.value):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            reads = node.func.attr in {"get", "getenv", "pop", "setdefault"}
            if reads and re.search(r"environ|^os$", ast.unparse(node.func.value)) and node.args:
                key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def shown(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_there_is_a_product_to_look_at():
    assert len(product_files()) > 30
    assert any(is_python(path) for path in product_files())


@pytest.mark.parametrize("path", product_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_product_file_names_the_local_cloud(path):
    found = LOCAL_WORDS.findall(path.read_text(errors="replace"))
    assert found == []


@pytest.mark.parametrize(
    "path",
    [path for path in tracked("lambda-code", "model-code") if is_python(path)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_product_module_imports_what_does_not_ship(path):
    assert set(imports(path)) & NOT_SHIPPED == set()


def test_no_product_module_reads_a_switch_of_the_local_cloud():
    python = [path for path in product_files() if is_python(path)]
    read = {name: path for path in python for name in environment_names(path)}
    assert {name for name in read if SWITCH.search(name)} == set()
    endpoints = {path for name, path in read.items() if name.startswith("AWS_ENDPOINT_URL")}
    shipped = {ROOT / "lambda-code", ROOT / "model-code"}
    assert not any(shipped & set(path.parents) for path in endpoints)  # botocore reads it
    assert {"ML_ROOT", "SAGEMAKER_BIND_TO_PORT"} <= set(read)


def test_the_two_switches_of_the_container_are_read_once_each():
    python = [path for path in product_files() if is_python(path)]
    for name in ("ML_ROOT", "SAGEMAKER_BIND_TO_PORT"):
        readers = [path for path in python if name in set(environment_names(path))]
        assert len(readers) == 1, shown(readers)


def test_the_local_cloud_does_not_ship():
    built = subprocess.run(
        ["git", "grep", "-l", "local_cloud", "--", "lambda-code", "model-code", "notebooks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.stdout == ""

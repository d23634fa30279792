"""Notebooks are drivers: stripped, portable, and without logic of their own."""

import ast
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from zip_staging import NOTEBOOK, members

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ABSOLUTE = re.compile(
    r"""(?<![\w.~:/<])/(?:home|Users|tmp|var|opt|root|mnt|work|usr)\b|[A-Z]:\\\\"""
)
LOGIC = (
    ast.FunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.If,
    ast.Try,
    ast.ListComp,
    ast.DictComp,
)
# What a SageMaker notebook instance has in its conda_python3 kernel.
ON_THE_INSTANCE = {"IPython", "PIL", "boto3", "botocore", "matplotlib", "numpy"}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def cells(path, kind=None):
    content = json.loads(path.read_text())
    return [c for c in content["cells"] if kind in {None, c["cell_type"]}]


def source(cell):
    return "".join(cell["source"])


def test_both_notebooks_are_there():
    assert [path.name for path in NOTEBOOKS] == [NOTEBOOK, "Predict_ethnicity.ipynb"]


@every_notebook
def test_a_notebook_is_valid_and_its_outputs_are_stripped(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    for cell in cells(path, "code"):
        assert cell["outputs"] == [], source(cell)
        assert cell["execution_count"] is None, source(cell)
        assert cell["metadata"] == {}, source(cell)


@every_notebook
def test_no_cell_names_an_absolute_path(path):
    for cell in cells(path):
        assert not ABSOLUTE.search(source(cell)), source(cell)


@pytest.mark.parametrize("text", ["open('/home/me/x')", "/work/main", "cd /tmp/x", r"C:\\Users"])
def test_an_absolute_path_would_be_seen(text):
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["~/SageMaker/byo-staging", "../model-code", "POST /dev/predict"])
def test_other_slashes_are_no_absolute_path(text):
    assert not ABSOLUTE.search(text)


@every_notebook
def test_a_notebook_holds_no_logic(path):
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(source(cell))):
            assert not isinstance(node, LOGIC), source(cell)


@every_notebook
def test_a_notebook_begins_with_what_it_is_not_for(path):
    first = source(cells(path)[0])
    assert "cannot establish a person's ethnicity" in first
    assert "Do not use" in first


def test_the_lab_imports_only_what_is_staged_or_on_the_instance():
    staged = members()
    ours = {Path(name).parts[0].removesuffix(".py") for name in staged}
    files = [path for name, path in staged.items() if path.suffix == ".py" and "model" not in name]
    trees = [ast.parse(path.read_text()) for path in files]
    trees += [ast.parse(source(cell)) for cell in cells(staged[NOTEBOOK], "code")]
    imported = {name.partition(".")[0] for tree in trees for name in imports(tree)}
    assert imported <= ours | ON_THE_INSTANCE | set(sys.stdlib_module_names)
    assert "lab" in ours


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_what_running_leaves_behind_is_not_staged():
    names = [Path(name) for name in members()]
    hidden = [
        n for n in names if any(p.startswith(".") or p == "__pycache__" for p in n.parts[:-1])
    ]
    assert hidden == []


def test_the_lab_runs_on_the_oldest_python_of_an_instance():
    for name, path in members().items():
        if path.suffix == ".py" and "model-code" not in name:
            ast.parse(path.read_text(), feature_version=(3, 10))

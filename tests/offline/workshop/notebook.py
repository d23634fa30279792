"""Runs a notebook cell by cell, and looks at what its cells show."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from demo.story import ROOT
from nbclient import NotebookClient

CELL_S = 900


@dataclass(frozen=True)
class PlayedNotebook:
    """A notebook that ran to its end, and where."""

    content: Any
    folder: Path

    @property
    def code_cells(self) -> list[Any]:
        """Return the cells that were run."""
        return [cell for cell in self.content.cells if cell.cell_type == "code"]

    def output(self, cell_id: str) -> str:
        """Return all text of a cell's outputs."""
        texts = []
        for output in self._cell(cell_id).outputs:
            data = output.get("data", {})
            texts.append(output.get("text", "") + data.get("text/plain", ""))
            texts.append(data.get("text/html", ""))
        return "\n".join(texts)

    def pictures(self, cell_id: str) -> int:
        """Return how many pictures a cell shows."""
        return sum("image/png" in out.get("data", {}) for out in self._cell(cell_id).outputs)

    def _cell(self, cell_id: str) -> Any:
        (cell,) = [cell for cell in self.content.cells if cell.id == cell_id]
        return cell


def play(notebook: Path, environment: dict[str, str]) -> PlayedNotebook:
    """Run a notebook in its own folder, in a kernel with this environment."""
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    client.execute(env=environment)
    return PlayedNotebook(content, notebook.parent)


def kernel_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return a kernel's variables: nothing of this process but where programs are."""
    path = f"{ROOT / '.tools/aws/bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **variables}

"""What the serving images have to carry."""

from __future__ import annotations

from local_cloud.docker_cli.environments import site_packages

from bench import watch
from bench.figures import LOWER, Figure, Row
from bench.setup import SEED_PYTHON, Bench


def measure(bench: Bench) -> list[Row]:
    """Return the size of both environments' packages."""
    folders = {
        "ours": site_packages(bench.serve_environment),
        "seed": site_packages(SEED_PYTHON.parents[1]),
    }
    figures = {name: Figure((watch.folder_mb(folder),)) for name, folder in folders.items()}
    return [Row("packages", "site-packages of the server", "MB", LOWER, figures)]

"""Where SageMaker puts things; the only mention of /opt/ml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    root: Path
    cache: Path | None = None  # outlives the job where SageMaker keeps its instances warm

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Paths":
        cache = environ.get("SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY")
        return cls(Path(environ.get("ML_ROOT") or "/opt/ml"), Path(cache) if cache else None)

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"

    def channel(self, name: str) -> Path:
        return self.root / "input" / "data" / name

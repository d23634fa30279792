"""Going through labelled data: ask, check, count, and know where to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from common.failures import WrongConfiguration
from endpoint_answers import Answer, BadAnswer
from evaluation_source import LabelledData, Place, find_data, find_label_names
from invocation import Batch, ask, batches
from tally import Tally


@dataclass(frozen=True)
class Services:
    """What an evaluation may reach: S3, endpoints, the registry, and the time left to it."""

    s3: Any
    runtime: Any
    sagemaker: Callable[[], Any]  # makes its client, for only a model that has passed needs it
    environ: Mapping[str, str]
    time_left_s: Callable[[], float]


@dataclass
class Progress:
    """A test on its way. As JSON it is the state between two invocations."""

    bucket: str
    prefix: str
    files: list[tuple[str, str]]
    names: dict[str, str]
    place: Place = field(default_factory=Place)
    tally: Tally = field(default_factory=Tally)
    model: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(cls, s3: Any, bucket: str, prefix: str) -> Progress:
        """List the data as it is now: the test holds on to these very versions of its files."""
        names = find_label_names(s3, bucket, prefix)
        return cls(bucket, prefix, find_data(s3, bucket, prefix), names)

    def go_on(
        self, services: Services, deployed: Mapping[str, Any], max_rows: int, reserve_s: float
    ) -> bool:
        """Count until max_rows or the end and say True; say False when reserve_s is left."""
        data = LabelledData(services.s3, self.bucket, self.files)
        endpoint, version = deployed["endpoint_name"], deployed["training_job_name"]
        for batch in batches(data, self.place, max_rows - self.tally.rows):
            self._take(batch, ask(services.runtime, endpoint, batch, version))
            if services.time_left_s() < reserve_s:
                return False
        if not self.tally.rows:
            raise WrongConfiguration(f"the CSVs under {self.source} hold no rows")
        return True

    @property
    def source(self) -> str:
        """Return where the data is."""
        return f"s3://{self.bucket}/{self.prefix}"

    def _take(self, batch: Batch, answer: Answer) -> None:
        labels = list(answer.labels)
        if self.tally.labels not in ([], labels):
            raise BadAnswer(f"the endpoint's labels were {self.tally.labels}, now are {labels}")
        self.tally.labels, self.model, self.place = labels, answer.model, batch.behind
        for row, predicted in zip(batch.rows, answer.predicted, strict=True):
            label = None if row.label is None else self.names.get(row.label, row.label)
            self.tally.add(label, predicted, row.gender, row.age)

    def to_json(self) -> dict[str, Any]:
        """Return a copy that json can write."""
        return {**vars(self), "place": asdict(self.place), "tally": self.tally.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Progress:
        """Return what to_json wrote."""
        place, tally = Place(**content["place"]), Tally.from_json(content["tally"])
        files = [(key, etag) for key, etag in content["files"]]
        return cls(**{**content, "place": place, "tally": tally, "files": files})

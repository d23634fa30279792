"""Hyperparameters: their types, ranges and defaults. SageMaker sends strings; cast once, here."""

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any

from .errors import BadInputError


def _between(default: float, low: float, high: float, doc: str, step: int = 1) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "step": step, "doc": doc})


LEAST_OF_A_HOST = 2  # images in a step: batch normalisation knows no spread of a single one
AFTERWARDS = ("views", "least_recall")


@dataclass(frozen=True)
class Hyperparameters:
    epochs: int = _between(8, 1, 1000, "passes over the data, at most")
    max_minutes: float = _between(0.0, 0.0, 1440.0, "of fitting; 0: as long as it takes")
    batch_size: int = _between(64, 2, 4096, "images in a step, over all hosts; 2 each at least")
    learning_rate: float = _between(6e-3, 1e-6, 1.0, "AdamW's, at the peak of the cosine")
    muon_learning_rate: float = _between(0.0, 0.0, 1.0, "Muon's, on kernels; 0: AdamW for all")
    weight_decay: float = _between(0.05, 0.0, 1.0, "on weights of two or more dimensions")
    width: int = _between(8, 4, 128, "channels of the first block", step=4)
    dropout: float = _between(0.2, 0.0, 0.9, "before the last layer")
    image_size: int = _between(48, 32, 224, "side of the model's input", step=16)
    channels: int = _between(1, 1, 3, "1 gray, 3 RGB", step=2)
    label_smoothing: float = _between(0.1, 0.0, 0.5, "share spread over all labels")
    balance: float = _between(0.75, 0.0, 2.0, "tau of the logit adjustment; 0 follows frequency")
    auxiliary_weight: float = _between(
        0.0, 0.0, 1.0, "of gender and of age in the loss, learnt beside the label; 0: not learnt"
    )
    augment: float = _between(0.5, 0.0, 2.0, "strength of the random views")
    small_share: float = _between(
        0.0, 0.0, 0.9, "of the training, on images of at most 3/4 the side, a multiple of 16"
    )
    views: int = _between(
        1, 1, 4, "averaged for an answer, each as much work; 2: mirrored, too; 4: both also zoomed"
    )
    least_recall: float = _between(
        0.0, 0.0, 1.0, "of every label on the validation part, bought with accuracy; 0: a balance"
    )
    ema_share: float = _between(0.1, 0.0, 1.0, "of the steps so far that the averaged weights span")
    patience: int = _between(10, 1, 1000, "epochs without a better macro recall; 2 above 0.99")
    validation_fraction: float = _between(0.15, 0.05, 0.5, "held out without a validation channel")
    peer_timeout_s: float = _between(30.0, 2.0, 3600.0, "of silence until a host counts as lost")
    seed: int = _between(0, 0, 2**31 - 1, "of everything random")

    @property
    def budget_s(self) -> float:
        """Seconds that fitting may take; without a limit a busy machine trains just as well."""
        return self.max_minutes * 60 if self.max_minutes else math.inf

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def of_fitting(self) -> dict[str, Any]:
        """Those that the weights depend on, and not only what is made of them afterwards."""
        return {name: value for name, value in asdict(self).items() if name not in AFTERWARDS}


def parse(given: Mapping[str, str], hosts: int = 1) -> Hyperparameters:
    """SageMaker's strings -> hyperparameters; one error names everything that is wrong."""
    known = {spec.name: spec for spec in fields(Hyperparameters)}
    values: dict[str, float] = {}
    faults: list[str] = []
    for name, text in given.items():
        if name.startswith("sagemaker_"):  # put there by SDKs, about themselves
            continue
        if name not in known:
            faults.append(f"{name} is unknown (known are {', '.join(known)})")
            continue
        try:
            values[name] = _cast(known[name], text)
        except ValueError as error:
            faults.append(f"{name} is {text!r}; it must be {error}")
    parsed = Hyperparameters(**values)  # type: ignore[arg-type]
    if parsed.batch_size < LEAST_OF_A_HOST * hosts:
        faults.append(
            f"batch_size is {parsed.batch_size} for {hosts} hosts, each of which needs "
            f"{LEAST_OF_A_HOST} images in a step: set it to {LEAST_OF_A_HOST * hosts} or more, or "
            f"train on {parsed.batch_size // LEAST_OF_A_HOST} host(s) at most"
        )
    if faults:
        raise BadInputError("hyperparameters: " + "; ".join(faults))
    return parsed


def _cast(spec: Field[Any], text: str) -> float:
    """The number in the text; ValueError says what it must be."""
    kind: type[int] | type[float] = int if isinstance(spec.default, int) else float
    low, high, step = (spec.metadata[key] for key in ("low", "high", "step"))
    wanted = f"{'a whole' if kind is int else 'a'} number from {low} to {high}"
    if step > 1:
        wanted += f" in steps of {step}"
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not low <= value <= high or (kind is int and (value - low) % step):
        raise ValueError(wanted)
    return value

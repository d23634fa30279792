"""What a training tells about itself: plain values in, plain values out."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .groups import group_of
from .metrics import reliability, wilson

KIND = "training-report"
MISTAKES = 12  # at most
NOTE = (
    "A photograph cannot establish a person's ethnicity. The labels are guesses by the data set's "
    "labellers, and so are the model's answers; they must not be used for decisions about a "
    "person, for identification or for surveillance."
)

Rows = Sequence[tuple[str, str]]  # (label, predicted)


@dataclass(frozen=True)
class Answers:
    """What the artifact, as it will be served, said about rows that it never learnt from."""

    truth: Sequence[str]  # names of the N labels, known to the model or not
    codes: np.ndarray  # int [N], their places among the model's labels, -1 unknown
    probabilities: np.ndarray  # float [N, L]
    labels: Sequence[str]  # the model's, [L]
    groups: Mapping[str, Sequence[str]]  # "gender", "age": N texts each, "" not told
    channel: str  # that the rows come from, …
    rows: Sequence[int]  # … and their places there, from 1

    @property
    def predicted(self) -> list[str]:
        return [self.labels[code] for code in self.probabilities.argmax(axis=1)]

    @property
    def worst(self) -> list[int]:
        """Places of the wrong answers that were given most surely, the surest first."""
        sure, chosen = self.probabilities.max(axis=1), self.probabilities.argmax(axis=1)
        wrong = np.flatnonzero(chosen != self.codes)
        return wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES].tolist()


def make_report(
    card: Mapping[str, Any], answers: Answers, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return report.json: what the card tells, and every measure with its interval.

    `facts` are what neither knows: versions, hosts, device, peak memory.
    """
    rows = list(zip(answers.truth, answers.predicted, strict=True))
    known = list(answers.labels)
    labels = known + sorted(set(answers.truth) - set(known))
    return {
        "kind": KIND,
        "model": {key: card[key] for key in ("name", "version", "labels", "sensitive")},
        "created": card["created"],
        "note": NOTE if card["sensitive"] else None,
        "channel": answers.channel,
        "accuracy": _share(rows),
        "macro_recall": card["metrics"]["macro_recall"],
        "labels": [
            {"label": label, "known": label in known, **_share(_of_label(rows, label))}
            for label in labels
        ],
        "confusion": {
            label: dict(Counter(p for _, p in _of_label(rows, label))) for label in labels
        },
        "groups": {kind: _groups(rows, kind, texts) for kind, texts in answers.groups.items()},
        "calibration": {
            "error": card["metrics"]["calibration_error"],
            "bins": [
                {**found, **wilson(found["right"], found["rows"])}
                for found in reliability(answers.probabilities, answers.codes)
            ],
        },
        "mistakes": [_mistake(answers, rows[place], place) for place in answers.worst],
        "data": card["data"],
        "training": card["training"],
        **facts,
    }


def pictures(card: Mapping[str, Any], images: np.ndarray) -> list[str]:
    """PNG data URIs of images uint8 [N, size, size, channels]; none where people may be on them."""
    return [] if card["sensitive"] else [_data_uri(image) for image in images]


def _share(rows: Rows) -> dict[str, Any]:
    right = sum(truth == predicted for truth, predicted in rows)
    return {"rows": len(rows), "right": right, **wilson(right, len(rows))}


def _of_label(rows: Rows, label: str) -> Rows:
    return [row for row in rows if row[0] == label]


def _groups(rows: Rows, kind: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Each group that the data tells: its own recall, and that of each label in it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row, text in zip(rows, texts, strict=True):
        if group := group_of(kind, text):
            found.setdefault(group, []).append(row)
    return [
        {
            "group": group,
            **_share(members),
            "labels": {
                label: _share(_of_label(members, label))
                for label in sorted({t for t, _ in members})
            },
        }
        for group, members in sorted(found.items())
    ]


def _mistake(answers: Answers, row: tuple[str, str], place: int) -> dict[str, Any]:
    truth, predicted = row
    confidence = round(float(answers.probabilities[place].max()), 4)
    number = answers.rows[place]
    return {"row": number, "label": truth, "predicted": predicted, "confidence": confidence}


def _data_uri(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

"""The quality and fairness gate: from counts to measures, and from measures to a verdict.

Quality has to be shown: the lower bound of a recall's interval must reach its limit. A gap between
groups has to be shown as well: the lower bound of the gap must not exceed its limit, so that noise
between small groups stops nobody. Only labels and groups with enough rows are judged; the others
are reported as too small.
"""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.failures import WrongConfiguration
from common.fields import fill, whole
from intervals import Z_95, Estimate, difference, mean, wilson
from tally import Tally

Cells = Mapping[str, Mapping[str, list[int]]]  # {group: {label: [rows, right]}}


@dataclass(frozen=True)
class Thresholds:
    """UserParameters 'thresholds' of action FullTest; a limit left out is measured, not judged."""

    macro_recall: float = -1.0
    worst_label_recall: float = -1.0
    gender_recall_gap: float = -1.0
    age_recall_gap: float = -1.0
    min_group_rows: int = whole(1, 100_000, default=30)


def thresholds(given: Mapping[str, Any]) -> Thresholds:
    """Read the thresholds; a gate without any limit on recall would let everything through."""
    limits = fill(
        Thresholds, given, lambda told: WrongConfiguration(f"UserParameters 'thresholds' {told}")
    )
    if max(limits.macro_recall, limits.worst_label_recall) < 0:
        raise WrongConfiguration(
            "UserParameters 'thresholds' must set macro_recall or worst_label_recall"
        )
    for name, value in asdict(limits).items():
        if name in given and name != "min_group_rows" and not 0 <= value <= 1:
            raise WrongConfiguration(
                f"UserParameters 'thresholds' {name!r} must be from 0 to 1, got {value}"
            )
    return limits


def measure(tally: Tally, limits: Thresholds) -> dict[str, Any]:
    """Return every measure of the report, with intervals, and whether each is judged."""
    labels = [_label(tally, label, limits) for label in sorted({*tally.labels, *tally.confusion})]
    judged = [_estimate(entry) for entry in labels if entry["judged"]]
    return {
        "rows": tally.rows,
        "labelled_rows": tally.labelled,
        "accuracy": asdict(wilson(tally.right, tally.labelled)) if tally.labelled else None,
        "macro_recall": asdict(mean(judged)) if judged else None,
        "labels": labels,
        "labels_unknown_to_the_model": tally.unknown_labels,
        "confusion": tally.confusion,
        "groups": {kind: _groups(tally, kind, limits) for kind in ("gender", "age")},
    }


def missed(measures: Mapping[str, Any], limits: Thresholds) -> list[str]:
    """Name each threshold that is missed, with value, interval and limit; empty if none is."""
    found = []
    if measures["macro_recall"] is None:
        return [f"no label has {limits.min_group_rows} rows: there is too little data to judge"]
    macro = Estimate(**measures["macro_recall"])
    if limits.macro_recall >= 0 and macro.low < limits.macro_recall:
        found.append(f"macro recall {_told(macro)} must be at least {limits.macro_recall:g}")
    for entry in measures["labels"]:
        if entry["judged"] and _estimate(entry).low < limits.worst_label_recall:
            unknown = "" if entry["known"] else "; the model was never trained on it"
            found.append(
                f"recall of label {entry['label']!r} {_told(_estimate(entry))} in {entry['rows']} "
                f"rows must be at least {limits.worst_label_recall:g}{unknown}"
            )
    for kind in ("gender", "age"):
        limit, gap = getattr(limits, f"{kind}_recall_gap"), measures["groups"][kind]["gap"]
        if limit >= 0 and gap and gap["low"] > limit:
            found.append(
                f"recall gap {_told(_estimate(gap))} between {kind} {gap['better']!r} and "
                f"{gap['worse']!r} must be at most {limit:g}"
            )
    return found


def _label(tally: Tally, label: str, limits: Thresholds) -> dict[str, Any]:
    rows, right = tally.of_label(label)
    return {
        "label": label,
        "known": label in tally.labels,
        "rows": rows,
        "judged": rows >= limits.min_group_rows,
        **(asdict(wilson(right, rows)) if rows else {"value": None, "low": None, "high": None}),
    }


def _groups(tally: Tally, kind: str, limits: Thresholds) -> dict[str, Any]:
    """Return each group's own recall, and the widest gap between two that are large enough."""
    listed = []
    for group, cells in sorted(tally.groups.get(kind, {}).items()):
        rows, right = (sum(cell[i] for cell in cells.values()) for i in (0, 1))
        judged = rows >= limits.min_group_rows
        listed.append(
            {"group": group, "rows": rows, "judged": judged, **asdict(wilson(right, rows))}
        )
    large = [entry["group"] for entry in listed if entry["judged"]]
    compared = {group: tally.groups[kind][group] for group in large}
    return {"groups": listed, "gap": _widest_gap(tally, compared, limits.min_group_rows)}


def _widest_gap(tally: Tally, groups: Cells, min_rows: int) -> dict[str, Any] | None:
    """Compare every two groups on the labels that both have, weighted by the data's own mix.

    Without that, a group in which an easy label is frequent would look better treated. As the
    widest of many gaps is wide by chance alone, the confidence is shared among all pairs.
    """
    pairs = []
    for one, other in itertools.combinations(groups, 2):
        common = sorted(groups[one].keys() & groups[other].keys())
        rows = [sum(groups[group][label][0] for label in common) for group in (one, other)]
        if min(rows) >= min_rows:
            pairs.append((one, other, common))
    z = _z_shared(len(pairs))
    gaps = []
    for one, other, common in pairs:
        weights = [float(tally.of_label(label)[0]) for label in common]
        recalls = {
            group: mean([_of_cell(groups[group][label], z) for label in common], weights)
            for group in (one, other)
        }
        worse, better = sorted(recalls, key=lambda group: recalls[group].value)
        gap = difference(recalls[better], recalls[worse])
        gaps.append({"better": better, "worse": worse, "pairs": len(pairs), **asdict(gap)})
    return max(gaps, key=lambda gap: gap["low"], default=None)


def _of_cell(cell: list[int], z: float) -> Estimate:
    rows, right = cell
    return wilson(right, rows, z)


def _z_shared(pairs: int) -> float:
    """Return the quantile for 95 % confidence in all pairs at once (Bonferroni)."""
    if pairs <= 1:
        return Z_95
    from statistics import NormalDist  # slow to import, and only a full test comes here

    return NormalDist().inv_cdf(1 - 0.025 / pairs)


def _estimate(entry: Mapping[str, Any]) -> Estimate:
    return Estimate(entry["value"], entry["low"], entry["high"])


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} (95 % interval {estimate.low:.3f} to {estimate.high:.3f})"

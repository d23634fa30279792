"""The evaluation report as one HTML file: no script, nothing fetched, light and dark."""

from collections.abc import Mapping
from html import escape
from typing import Any

from report_charts import confusion_table, recall_chart

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1c2330;--faint:#5b6575;--line:#d9dee7;
--bar:#4c78c9;--small:#b9c4d8;--limit:#b3261e;--good:#1b6e3c;--bad:#b3261e;--note:#fff4d6}
@media(prefers-color-scheme:dark){:root{--page:#14181f;--ink:#e6e9ef;--faint:#9aa5b5;
--line:#333b48;--bar:#7aa2f0;--small:#4a566b;--limit:#ff8a80;--good:#7fd8a0;--bad:#ff8a80;
--note:#3a3216}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}
.verdict{font-weight:700;font-size:1.1rem}.passed{color:var(--good)}.stopped{color:var(--bad)}
.note{background:var(--note);padding:.6rem .9rem;border-radius:.4rem}
svg{width:100%;height:auto;font-size:12px}svg text{fill:var(--ink)}svg .faint,.faint{
fill:var(--faint);color:var(--faint)}.bar{fill:var(--bar)}.bar.small{fill:var(--small)}
.whisker{stroke:var(--ink);stroke-width:1.5;fill:none}.grid{stroke:var(--line)}
.limit{stroke:var(--limit);stroke-width:2;stroke-dasharray:5 4}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}.scroll{overflow-x:auto}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line)}
th[scope=row]{text-align:left}.confusion td.right{background:color-mix(in srgb,var(--good)
calc(var(--share)*45%),transparent)}.confusion td.wrong{background:color-mix(in srgb,var(--bad)
calc(var(--share)*60%),transparent)}.sum{color:var(--faint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dd{margin:0;
overflow-wrap:anywhere}dt{color:var(--faint)}
"""
_HOW_TO_READ = """
<p>Recall of a label is the share of its rows that the model names rightly; macro recall is its mean
over the labels, so that frequent labels do not hide rare ones. Whiskers are 95 % intervals (Wilson)
and the dashed line is the limit. The gate asks that the lower end of a recall's interval reaches
its limit, and that the lower end of a gap between two groups does not exceed its own. Gaps compare
two groups at the same mix of labels. Labels and groups with too few rows are shown but not
judged.</p>
"""


def report_html(report: Mapping[str, Any]) -> str:
    """Return the page; every text from the data or the model is escaped."""
    model = report["model"]
    title = f"Evaluation of {model.get('name', 'the model')}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{_verdict(report)}{_note(report)}{_summary(report)}"
        f"{_labels(report)}{_confusion(report)}{_groups(report, 'gender')}{_groups(report, 'age')}"
        f"<h2>How to read this</h2>{_HOW_TO_READ}{_origin(report)}</main></body></html>"
    )


def _verdict(report: Mapping[str, Any]) -> str:
    if report["passed"]:
        few = ", ".join(f"{e['label']} ({e['rows']})" for e in report["labels"] if not e["judged"])
        aside = f"<p>Too few rows to judge: {escape(few)}.</p>" if few else ""
        return f'<p class="verdict passed">Passed: every threshold is met.</p>{aside}'
    items = "".join(f"<li>{escape(fault)}</li>" for fault in report["missed"])
    return f'<p class="verdict stopped">Stopped: a threshold is missed.</p><ul>{items}</ul>'


def _note(report: Mapping[str, Any]) -> str:
    return f'<p class="note">{escape(report["note"])}</p>' if report["note"] else ""


def _summary(report: Mapping[str, Any]) -> str:
    limits = report["thresholds"]
    rows = [
        ("Macro recall", _share(report["macro_recall"]), limits.get("macro_recall")),
        ("Accuracy (not judged)", _share(report["accuracy"]), None),
    ]
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{value}</td>'
        f"<td>{'' if limit is None else f'at least {limit:g}'}</td></tr>"
        for name, value, limit in rows
    )
    counted = f"{report['rows']} rows, {report['labelled_rows']} of them labelled"
    return (
        f'<h2>In all</h2><p class="faint">{counted}</p><div class=scroll><table><thead><tr>'
        '<th scope="col"></th><th scope="col">value and interval</th><th scope="col">limit</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _labels(report: Mapping[str, Any]) -> str:
    entries = [entry | {"name": entry["label"]} for entry in report["labels"]]
    chart = recall_chart(
        "Recall per label", entries, report["thresholds"].get("worst_label_recall")
    )
    unknown = report["labels_unknown_to_the_model"]
    told = (
        f"<p>The model was never trained on: {escape(', '.join(unknown))}.</p>" if unknown else ""
    )
    return f"<h2>Recall per label</h2>{chart}{told}{_table(entries)}"


def _confusion(report: Mapping[str, Any]) -> str:
    predicted = [entry["label"] for entry in report["labels"] if entry["known"]]
    truths = [entry["label"] for entry in report["labels"] if entry["rows"]]
    return f"<h2>Confusion</h2>{confusion_table(report['confusion'], predicted, truths)}"


def _groups(report: Mapping[str, Any], kind: str) -> str:
    found = report["groups"][kind]
    heading = f"<h2>Recall by {kind}</h2>"
    if not found["groups"]:
        return f'{heading}<p class="faint">The data does not tell {kind}.</p>'
    entries = [entry | {"name": entry["group"]} for entry in found["groups"]]
    chart = recall_chart(f"Recall by {kind}", entries, None)
    return f"{heading}{chart}{_gap(found['gap'], kind, report['thresholds'])}{_table(entries)}"


def _gap(gap: Mapping[str, Any] | None, kind: str, limits: Mapping[str, float]) -> str:
    if gap is None:
        return '<p class="faint">Fewer than two groups have enough rows to be compared.</p>'
    limit = limits.get(f"{kind}_recall_gap")
    judged = "not judged" if limit is None else f"limit {limit:g}"
    return (
        f"<p>Clearest gap: {_share(gap)} in favour of {escape(gap['better'])} over "
        f"{escape(gap['worse'])} ({judged}).</p>"
    )


def _table(entries: list[dict[str, Any]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(str(entry["name"]))}</th><td>{entry["rows"]}</td>'
        f"<td>{_share(entry)}</td><td>{'' if entry['judged'] else 'too few rows'}</td></tr>"
        for entry in entries
    )
    return (
        "<details><summary>Numbers</summary><div class=scroll><table><thead><tr>"
        '<th scope="col"></th><th scope="col">rows</th><th scope="col">recall and interval</th>'
        f'<th scope="col"></th></tr></thead><tbody>{body}</tbody></table></div></details>'
    )


def _origin(report: Mapping[str, Any]) -> str:
    facts = {
        "Model version": report["model"].get("version"),
        "Endpoint": f"{report['endpoint_name']} ({report['environment']})",
        "Test data": report["data"],
        "Commit": report["commit"],
        "Serving image": report["serve_image"],
        "Pipeline execution": report["execution_id"],
        "Made": report["created"],
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(str(v))}</dd>" for name, v in facts.items())
    return f"<h2>Where this comes from</h2><dl>{items}</dl>"


def _share(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "not known"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"

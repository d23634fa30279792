"""The training report as one HTML file: no script, nothing fetched, light and dark."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .report_charts import confusion_table, line_chart, recall_chart, reliability_chart, text

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1c2330;--faint:#5b6575;--line:#d9dee7;
--bar:#4c78c9;--second:#b8651b;--small:#b9c4d8;--limit:#b3261e;--good:#1b6e3c;--bad:#b3261e;
--note:#fff4d6;--card:#f4f6fa}
@media(prefers-color-scheme:dark){:root{--page:#14181f;--ink:#e6e9ef;--faint:#9aa5b5;
--line:#333b48;--bar:#7aa2f0;--second:#f0a860;--small:#4a566b;--limit:#ff8a80;--good:#7fd8a0;
--bad:#ff8a80;--note:#3a3216;--card:#1d232c}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}
.note{background:var(--note);padding:.6rem .9rem;border-radius:.4rem}
.tiles{display:flex;flex-wrap:wrap;gap:.7rem;margin:1rem 0 0;padding:0}
.tiles div{background:var(--card);border-radius:.4rem;padding:.5rem .9rem;flex:1 1 9rem}
.tiles dt{color:var(--faint);font-size:.85rem}.tiles dd{margin:0;font-size:1.35rem;font-weight:600}
.tiles small{display:block;color:var(--faint);font-size:.8rem;font-weight:400}
svg{width:100%;height:auto;font-size:12px;display:block}svg text{fill:var(--ink)}
svg .faint,.faint{fill:var(--faint);color:var(--faint)}.bar{fill:var(--bar)}
.bar.small{fill:var(--small)}.whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
.grid{stroke:var(--line)}.limit{stroke:var(--faint);stroke-width:1.5;stroke-dasharray:5 4}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.line.n0{stroke:var(--bar)}
.line.n1{stroke:var(--second);stroke-dasharray:6 4}.dot{stroke:var(--page);stroke-width:1.5}
.dot.n0,.key.n0{fill:var(--bar);background:var(--bar)}
.dot.n1,.key.n1{fill:var(--second);background:var(--second)}
.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin:0 .35em 0 .9em}
.key:first-child{margin-left:0}.panels{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;flex:1 1 19rem}figcaption{font-size:.9rem;margin-bottom:.3rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin-bottom:.8rem}
.scroll{overflow-x:auto}.dense{font-size:.8rem}.dense td,.dense th{padding:.2rem .35rem}
th,td{padding:.25rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th[scope=row]{text-align:left;white-space:normal}
.confusion td.right{background:color-mix(in srgb,var(--good)
calc(var(--share)*45%),transparent)}.confusion td.wrong{background:color-mix(in srgb,var(--bad)
calc(var(--share)*60%),transparent)}.sum{color:var(--faint)}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.8rem}
.mistakes figure{font-size:.85rem;line-height:1.3}.mistakes img{width:100%;max-width:8.5rem;
image-rendering:pixelated;border-radius:.3rem;display:block;margin-bottom:.2rem}
.origin{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}.origin dd{margin:0;
overflow-wrap:anywhere}.origin dt{color:var(--faint)}summary{cursor:pointer}
"""
_HOW_TO_READ = """
<p>Every number is of rows that the training never learnt from, asked of the artifact as it will be
served. These rows did choose the best epoch and the operating point, so other rows will be answered
a little worse; the pipeline's gate measures on its own.</p>
<p>Recall of a label is the share of its rows that the model names rightly; macro recall is its mean
over the labels, so that frequent labels do not hide rare ones. Whiskers are 95 % intervals
(Wilson); those of fewer than 30 rows are too wide to mean much.</p>
"""


def report_html(report: Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """Return the page; `pictures` are data URIs of the mistakes, in their order, or none."""
    title = f"Training of {report['model']['name']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{text(title)}</h1><p class="faint">{text(report["model"]["version"], 200)}</p>'
        f"{_note(report)}{_tiles(report)}{_curves(report)}{_labels(report)}{_confusion(report)}"
        f"{_groups(report, 'gender')}{_groups(report, 'age')}{_calibration(report)}"
        f"{_mistakes(report, pictures)}<h2>How to read this</h2>{_HOW_TO_READ}{_origin(report)}"
        f"{_hyperparameters(report)}</main></body></html>"
    )


def _note(report: Mapping[str, Any]) -> str:
    return f'<p class="note">{text(report["note"], 1000)}</p>' if report["note"] else ""


def _tiles(report: Mapping[str, Any]) -> str:
    known = [entry for entry in report["labels"] if entry["value"] is not None]
    worst = min(known, key=lambda entry: entry["value"])
    tiles = (
        ("Macro recall", f"{report['macro_recall']:.3f}", "mean over the labels"),
        ("Worst label", f"{worst['value']:.3f}", worst["label"]),
        ("Accuracy", f"{report['accuracy']['value']:.3f}", _interval(report["accuracy"])),
        ("Calibration error", f"{report['calibration']['error']:.3f}", "0: as right as sure"),
    )
    items = "".join(
        f"<div><dt>{name}</dt><dd>{value}<small>{text(aside, 30)}</small></dd></div>"
        for name, value, aside in tiles
    )
    rows = f"{report['accuracy']['rows']} held-out rows of channel {text(report['channel'])}"
    return f'<dl class="tiles">{items}</dl><p class="faint">{rows}</p>'


def _curves(report: Mapping[str, Any]) -> str:
    epochs = report["training"]["epochs"]
    best, small = report["training"]["best_epoch"], _epochs_on_small_images(epochs)
    charts = (
        ("Loss", {"training loss": [epoch["train_loss"] for epoch in epochs]}),
        (
            "Held-out rows",
            {
                "macro recall": [epoch["validation_macro_recall"] for epoch in epochs],
                "accuracy": [epoch["validation_accuracy"] for epoch in epochs],
            },
        ),
    )
    figures = "".join(
        f"<figure><figcaption>{_keys(lines)}</figcaption>"
        f"{line_chart(title, lines, best, small)}</figure>"
        for title, lines in charts
    )
    told = f"Kept: epoch {best} of {len(epochs)}, the best macro recall (dots)."
    if small:
        told += (
            f" Epochs 1 to {small}, left of the dashed line, learnt from images of side "
            f"{epochs[0]['side']} and were measured on them, the others on {epochs[-1]['side']}."
        )
    return f'<h2>Learning</h2><div class=panels>{figures}</div><p class="faint">{told}</p>'


def _epochs_on_small_images(epochs: Sequence[Mapping[str, Any]]) -> int:
    return sum(epoch["side"] < epochs[-1]["side"] for epoch in epochs)


def _keys(lines: Iterable[str]) -> str:
    return "".join(f'<span class="key n{i}"></span>{text(name)}' for i, name in enumerate(lines))


def _labels(report: Mapping[str, Any]) -> str:
    entries = [entry | {"name": entry["label"]} for entry in report["labels"]]
    unknown = [entry["label"] for entry in entries if not entry["known"]]
    told = f"<p>Never trained on: {text(', '.join(unknown), 400)}.</p>" if unknown else ""
    chart = recall_chart("Recall per label", entries)
    return f"<h2>Recall per label</h2>{chart}{told}{_numbers(entries)}"


def _confusion(report: Mapping[str, Any]) -> str:
    truths = [entry["label"] for entry in report["labels"] if entry["rows"]]
    table = confusion_table(report["confusion"], report["model"]["labels"], truths)
    return f"<h2>Confusion</h2>{table}"


def _groups(report: Mapping[str, Any], kind: str) -> str:
    heading, groups = f"<h2>Recall by {kind}</h2>", report["groups"].get(kind)
    if not groups:
        return f'{heading}<p class="faint">The data does not tell {kind}.</p>'
    entries = [entry | {"name": entry["group"]} for entry in groups]
    return (
        f"{heading}{recall_chart(f'Recall by {kind}', entries)}"
        f"<details><summary>Numbers, and by label</summary>{_table(entries)}"
        f"{_by_label(report, groups)}</details>"
    )


def _by_label(report: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> str:
    """Labels down, groups across: recall, its interval and its rows."""
    head = "".join(f'<th scope="col">{text(group["group"])}</th>' for group in groups)
    body = ""
    for label in (entry["label"] for entry in report["labels"] if entry["rows"]):
        cells = "".join(_group_cell(group["labels"].get(label)) for group in groups)
        body += f'<tr><th scope="row">{text(label)}</th>{cells}</tr>'
    return (
        '<div class=scroll><table class=dense><thead><tr><th scope="col">label</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _group_cell(share: Mapping[str, Any] | None) -> str:
    if share is None:
        return '<td class="faint">no rows</td>'
    told = f"{_interval(share, 2)}<br>{share['rows']} rows"
    return f'<td>{share["value"]:.2f}<br><small class="faint">{told}</small></td>'


def _calibration(report: Mapping[str, Any]) -> str:
    found = report["calibration"]
    point = report["training"]["operating_point"]
    told = (
        "How often the model is right (up) where it is how sure (across): on the dashed line it "
        f"is as right as it is sure. Expected calibration error {found['error']:.3f}. Operating "
        f"point: prior weighed by {point['tau']:g}, temperature {point['temperature']:.3g}."
    )
    chart = reliability_chart("Calibration", found["bins"])
    return f'<h2>Calibration</h2><p class="faint">{told}</p>{chart}'


def _mistakes(report: Mapping[str, Any], pictures: Sequence[str]) -> str:
    heading, found = "<h2>Worst mistakes</h2>", report["mistakes"]
    if not found:
        return f'{heading}<p class="faint">None: every held-out row is named rightly.</p>'
    told = (
        f"The wrong answers given most surely, by their row in channel {text(report['channel'])}."
    )
    if not pictures:
        told += " Without pictures: people may be on them."
    images = [f'<img src="{uri}" alt="">' for uri in pictures] or [""] * len(found)
    figures = "".join(
        f"<figure>{image}<b>{text(entry['label'])}</b> named {text(entry['predicted'])}<br>"
        f'<span class="faint">sure {entry["confidence"]:.2f}, row {entry["row"]}</span></figure>'
        for entry, image in zip(found, images, strict=True)
    )
    return f'{heading}<p class="faint">{told}</p><div class="mistakes">{figures}</div>'


def _origin(report: Mapping[str, Any]) -> str:
    training, versions = report["training"], report["versions"]
    facts = {
        "Data": f"{report['data']['digest']} ({report['data']['rows']} rows learnt from)",
        "Began with": _origin_of(training.get("pretrained")),
        "Seed": training["hyperparameters"]["seed"],
        "Seconds of fitting": f"{training['seconds']:g} ({training['steps']} steps)",
        "Peak memory": f"{report['peak_memory_mb']} MB",
        "Ran on": f"{report['device']}; hosts: {report['hosts']}",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Made": report["created"],
    }
    return f'<h2>Where this comes from</h2><dl class="origin">{_facts(facts)}</dl>'


def _origin_of(pretrained: Mapping[str, str] | None) -> str:
    return f"the weights of {pretrained['version']}" if pretrained else "random weights"


def _hyperparameters(report: Mapping[str, Any]) -> str:
    values = _facts(report["training"]["hyperparameters"])
    return f'<h2>Hyperparameters</h2><dl class="origin">{values}</dl>'


def _facts(facts: Mapping[str, Any]) -> str:
    return "".join(f"<dt>{text(n)}</dt><dd>{text(v, 200)}</dd>" for n, v in facts.items())


def _numbers(entries: Sequence[Mapping[str, Any]]) -> str:
    return f"<details><summary>Numbers</summary>{_table(entries)}</details>"


def _table(entries: Sequence[Mapping[str, Any]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{text(entry["name"])}</th><td>{entry["rows"]}</td>'
        f"<td>{_recall(entry)}</td></tr>"
        for entry in entries
    )
    return (
        '<div class=scroll><table><thead><tr><th scope="col"></th><th scope="col">rows</th>'
        f'<th scope="col">recall and interval</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def _recall(entry: Mapping[str, Any]) -> str:
    return "not known" if entry["value"] is None else f"{entry['value']:.3f} ({_interval(entry)})"


def _interval(share: Mapping[str, Any], digits: int = 3) -> str:
    return f"{share['low']:.{digits}f} to {share['high']:.{digits}f}"

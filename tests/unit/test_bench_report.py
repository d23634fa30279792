"""The benchmarks' statistics, goals, table and picture; what is measured is not tested here."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from bench import plot, report
from bench.__main__ import PARTS, RESULTS, documents, main
from bench.figures import HIGHER, LOWER, Figure, Goal, Row, as_json, from_json, shown
from bench.goals import GOALS, NOTES
from bench.setup import HERE
from rich.console import Console


def row(key="rate", better=HIGHER, **figures):
    return Row(key, f"the {key}", "a second", better, {k: Figure(v) for k, v in figures.items()})


def test_the_median_is_not_moved_by_one_bad_round():
    assert Figure((10.0, 11.0, 900.0, 9.0, 10.5)).median == 10.5


def test_the_spread_is_the_middle_half_and_all_of_few_rounds():
    assert Figure((1.0, 2.0, 3.0, 4.0, 100.0)).quartiles == (2.0, 4.0)
    assert Figure((3.0, 1.0, 2.0)).quartiles == (1.0, 3.0)
    assert Figure((5.0,)).quartiles == (5.0, 5.0)


def test_a_ratio_is_taken_round_by_round():
    quick, slow = Figure((10.0, 20.0, 30.0)), Figure((5.0, 10.0, 15.0))
    assert quick.over(slow).values == (2.0, 2.0, 2.0)
    assert quick.over(Figure((10.0,))).values == (2.0,)


def test_better_is_more_of_a_rate_and_less_of_a_cost():
    assert row(ours=(30.0,), seed=(10.0,)).times("ours", "seed").median == 3
    assert row(better=LOWER, ours=(10.0,), seed=(30.0,)).times("ours", "seed").median == 3


@pytest.mark.parametrize(
    ("goal", "ours", "reached"),
    [
        (Goal("rate", "", 2, "seed"), 21.0, True),
        (Goal("rate", "", 2, "seed"), 19.0, False),
        (Goal("cost", "", 2, "seed"), 4.0, True),
        (Goal("cost", "", 2, "seed"), 6.0, False),
        (Goal("cost", "", 0.65, "seed", share=True), 6.0, True),
        (Goal("cost", "", 0.65, "seed", share=True), 7.0, False),
        (Goal("cost", "", 175), 175.0, True),
        (Goal("cost", "", 175), 176.0, False),
        (Goal("rate", "", 0.97, least=True), 0.97, True),
        (Goal("rate", "", 0.97, least=True), 0.96, False),
    ],
)
def test_a_goal_is_reached_or_not(goal, ours, reached):
    better = LOWER if goal.row == "cost" else HIGHER
    rows = {goal.row: row(goal.row, better, ours=(ours,), seed=(10.0,))}
    assert goal.judge(rows)[1] is reached
    [line] = report.goal_lines([goal], list(rows.values()))
    assert line[-1] == ("reached" if reached else "NOT reached")


def test_a_goal_says_why_it_is_missed_and_only_then():
    goals = [Goal("rate", "a rate", 2, "seed", why="it rains."), Goal("rate", "too", 2, "seed")]
    missed, reached = ([row(ours=(ours,), seed=(10.0,))] for ours in (19.0, 21.0))
    told = "Not reached, a rate: it rains."
    assert report.reasons(goals, missed) == [told]
    assert report.reasons(goals, reached) == report.reasons(goals, []) == []
    results = {"date": "2026-01-02", "facts": {}, "rows": as_json(missed)}
    assert f"- {told}" in report.markdown(results, goals, ["a note"])


def test_least_is_written_so():
    [line] = report.goal_lines([Goal("rate", "text", 0.97, least=True)], [row(ours=(0.99,))])
    assert line == ("text", "itself", "≥ 0.97", "0.99", "reached")


def test_what_was_not_measured_is_neither_reached_nor_missed():
    goal = Goal("rate", "text", 2, "seed")
    assert goal.judge({}) is None
    assert goal.judge({"rate": row(ours=(1.0,))}) is None
    assert report.goal_lines([goal], []) == [("text", "seed", "≥ 2 x", "not measured", "")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.000123, "1.2e-04"), (0.12345, "0.123"), (12.345, "12.3"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits_that_count(value, text):
    assert shown(value) == text


def test_rows_survive_being_written():
    rows = [row(ours=(1234.5678, 2.0), seed=(0.00012345,))]
    again = from_json(json.loads(json.dumps(as_json(rows))))
    assert again[0].figures["ours"].values == (1235.0, 2.0)
    assert again[0].figures["seed"].values == (0.0001234,)
    assert (again[0].key, again[0].unit, again[0].better) == ("rate", "a second", HIGHER)


def test_the_table_tells_median_and_spread_of_each_contender():
    [line] = report.figure_lines([row(ours=(1.0, 2.0, 3.0), seed=(5.0,))])
    assert line == ("the rate", "a second", "2 (1 to 3)", "", "", "5")
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(report.table("Title", ("what", "unit", *report.CONTENDERS), [line]))
    assert "2 (1 to 3)" in console.export_text()


def test_a_scale_holds_all_values_between_powers_of_ten():
    assert plot.scale([3.0, 2000.0]) == (1.0, 10_000.0)
    assert plot.scale([5.0]) == (1.0, 10.0)
    assert plot.scale([10.0, 10.0]) == (10.0, 100.0)
    assert plot.share(100.0, 1.0, 10_000.0) == pytest.approx(0.5)


def test_the_picture_has_a_bar_for_each_contender_in_proportion():
    rows = [row(ours=(1000.0,), tuned=(10.0,), seed=(1.0,), limit=(5000.0,)), row(ours=(7.0,))]
    picture = plot.draw(rows)
    ElementTree.fromstring(picture)  # noqa: S314  our own
    bars = re.findall(r'<rect class="(two-ink|one-ink|twin-ink|line)" .* width="([\d.]+)"', picture)
    widths = [float(width) for _, width in bars[:4]]
    assert [tone for tone, _ in bars[:4]] == ["two-ink", "one-ink", "twin-ink", "line"]
    assert widths[1] > widths[0] > widths[2] > widths[3]
    assert len(bars) == 5


def test_a_part_alone_is_never_written(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "packages", "--write"])
    assert "the other parts' figures would be lost" in capsys.readouterr().err


def test_packages_are_measured_as_installed(tmp_path):
    for name, size in (("numpy/a.py", 1000), ("numpy/__pycache__/a.pyc", 50), ("pip/b.py", 700)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "one.py").write_bytes(bytes(30))
    (tmp_path / "link.py").symlink_to(tmp_path / "one.py")
    script = (HERE / "contest/packages.py").read_text()
    here = f"import sysconfig; sysconfig.get_path = lambda _: {str(tmp_path)!r}\n"

    def mb(*names):
        command = [sys.executable, "-c", here + script, *names]
        printed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return printed["mb"], printed["image_mb"]

    assert (mb(), mb("numpy")) == ((0.00103, 0.00108), (0.001, 0.00105))


def test_every_goal_names_a_row_of_some_part():
    results = json.loads(RESULTS.read_text())
    keys = {each["key"] for each in results["rows"]}
    assert {goal.row for goal in GOALS} <= keys
    assert PARTS
    assert NOTES


def test_the_page_and_the_picture_are_made_of_the_results():
    page, picture = documents(json.loads(RESULTS.read_text()))
    assert RESULTS.with_suffix(".md").read_text() == page
    assert RESULTS.with_suffix(".svg").read_text() == picture

"""The benchmark's report: each figure is shown beside its floor and its goal, and what was not measured says why."""

from __future__ import annotations

import re

import pytest

from tools.bench import __main__ as bench
from tools.bench import figures
from tools.bench.figures import GaveUp, Part, Row
from tools.bench.plots import of_curves, of_fleets


def fleet(nodes, *rows):
    return Part(f"fleet-{nodes}", f"{nodes} nodes", 60.0, nodes, rows=list(rows))


def lines(svg):
    return [points.split() for points in re.findall('<polyline points="([^"]*)"', svg)]


def test_a_figure_meets_a_goal_of_its_own_or_one_in_floors():
    assert Row("a", "ms", 5.0, goal=5.0).is_met is True
    assert Row("a", "ms", 5.1, goal=5.0).is_met is False
    assert Row("a", "ms", 20.0, floor=10.0, goal_ratio=2.0).is_met is True
    assert Row("a", "ms", 21.0, floor=10.0, goal_ratio=2.0).is_met is False


@pytest.mark.parametrize(
    "row", [Row("a", "ms", 1.0), Row("a", "ms", None, goal=1.0), Row("a", "ms", 1.0, goal_ratio=2)]
)
def test_nothing_is_said_of_a_goal_that_is_not_there_or_can_t_be_judged(row):
    assert row.is_met is None


def test_the_table_has_floor_ratio_and_goal_and_says_what_was_not_measured():
    part = Part("p", "A part", 60.0, load_before=0.5, load_after=2.25)
    part.rows = [
        Row("delay", "ms", 20.0, floor=5.0, goal_ratio=2.0, remark="simulated"),
        Row("more", "MiB", None, goal=25.0, remark="no room"),
    ]
    part.gave_up = "not within 60 s: every node has its files"

    text = figures.as_markdown([part])

    assert "| delay | 20 ms | 5 ms | 4.0 | ≤ 2 floors | **no** | simulated |" in text
    assert "| more | not measured |  |  | ≤ 25 MiB |  | no room |" in text
    assert "The rest could not be measured: not within 60 s: every node has its files" in text
    assert "load 0.5 before and 2.2 after" in text


def test_what_was_found_before_a_part_gave_up_is_kept_and_the_reason_with_it():
    def measure(part: Part) -> None:
        part.add("first", "s", 1.0)
        part.until(lambda: None, "something happens", within=0.0)

    part = Part("p", "A part", 60.0).run(measure)

    assert [row.what for row in part.rows] == ["first"]
    assert "something happens" in part.gave_up


def test_a_part_does_not_begin_a_rest_that_ends_after_its_deadline():
    with pytest.raises(GaveUp):
        Part("p", "A part", 1.0).rest(2.0)


def test_a_report_is_read_as_it_was_written_and_a_part_that_ran_alone_replaces_its_own_figures(tmp_path):
    one, two = fleet(100, Row("a", "s", 1.5, floor=0.5, goal_ratio=3)), fleet(1000, Row("a", "s", 12.0))
    (tmp_path / "bench.json").write_text(figures.as_json([one, two]))

    assert figures.read(tmp_path) == [one, two]
    assert figures.read(tmp_path / "nothing") == []
    again = fleet(100, Row("a", "s", 2.0))
    assert figures.merged([one, two], [again]) == [again, two]


def test_a_plot_of_fleets_has_a_line_for_each_row_and_floor_and_needs_two_fleets():
    small, large = fleet(100, Row("last", "s", 1.0, floor=0.5)), fleet(1000, Row("last", "s", 9.0, floor=4.0))

    svg = of_fleets([large, small], {"last node": "last"}, up="s", floors=True)

    assert [len(line) for line in lines(svg)] == [2, 2]
    assert of_fleets([small], {"last node": "last"}, up="s") == ""


def test_a_plot_of_values_ends_at_the_whole_width_and_height():
    (line,) = lines(of_curves({"found": [1.0, 2.0, 4.0]}, up="ms"))

    assert line[-1] == "430.0,20.0"


def test_a_report_with_plots_names_them_and_they_are_there(tmp_path):
    delay = [Row(what, "s", 1.0) for what in bench._LINES.values()]
    bench.written([fleet(100, *delay), fleet(1000, *delay)], tmp_path)

    assert "![From PATCH to nodes, by size of the fleet](bench-delay.svg)" in (tmp_path / "bench.md").read_text()
    assert (tmp_path / "bench-delay.svg").exists()
    assert "## A fleet of 5,000 nodes\n\nNot measured: it has not been run" in (tmp_path / "bench.md").read_text()
    assert not (tmp_path / "bench-node.svg").exists()

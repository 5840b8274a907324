"""The torture's report: a part that runs alone changes its own line and no other."""

from __future__ import annotations

from tools.torture.figures import Figures, merged, read, write


def part(name, count):
    return Figures(name, "tries", 3, count=count, numbers={"of them": 1}, failures=["x: y"], failed=1, seconds=2.0)


def test_a_report_is_read_as_it_was_written(tmp_path):
    write([part("one", 1), part("two", 2)], "full", tmp_path)

    assert read(tmp_path, "full") == [part("one", 1), part("two", 2)]
    assert read(tmp_path, "small") == []
    assert read(tmp_path / "nothing", "full") == []


def test_parts_that_ran_alone_replace_their_own_figures_and_new_ones_come_last():
    earlier = [part("one", 1), part("two", 2)]

    assert merged(earlier, [part("three", 3), part("one", 7)]) == [part("one", 7), part("two", 2), part("three", 3)]

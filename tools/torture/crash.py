"""Crash: SIGKILL at every changing system call of every case, by strace, and what is there afterwards."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tools.torture import traced
from tools.torture.figures import Figures
from tools.torture.scenarios import CASES, Template, act, after_restart, at_rest
from tools.trials.interruptions import Calls, interrupted

GOAL = 400


def crash(folder: Path, *, sample: int = 1) -> Figures:
    """Kill a process at every changing call of every case.

    Args:
        folder: where to work.
        sample: only every so-many-th point, spread over all cases; all are enumerated nevertheless.
    """
    figures = Figures("killed (SIGKILL by strace)", "crash points", GOAL)
    templates = {str(case): Template(case, folder / f"template-{number}") for number, case in enumerate(CASES)}
    points = enumerate_points(templates, folder)
    figures.add("points enumerated", sum(len(calls) for calls in points.values()))
    figures.add("cases", len(points))
    ordered = [(case, call) for case, calls in points.items() for call in calls]
    chosen: dict[str, list[traced.Call]] = {}
    for case, call in ordered[::sample]:
        chosen.setdefault(case, []).append(call)
    for number, (call, cases) in enumerate(sorted(traced.by_call(chosen).items())):
        _kill(call, [templates[case] for case in cases], folder / f"kill-{number}", figures)
        figures.count += len(cases)
    return figures


def enumerate_points(templates: dict[str, Template], folder: Path) -> dict[str, list[traced.Call]]:
    """Return every changing call of every case, as strace saw it; the store's own primitives must count as many.

    Raises:
        AssertionError: the two disagree, or a case makes a call that nobody has judged.
    """
    points: dict[str, list[traced.Call]] = {}
    counted: dict[str, int] = {}
    place = folder / "enumerate"
    place.mkdir()
    for number, (case, template) in enumerate(templates.items()):
        with interrupted(Calls()) as calls:  # This also imports all there is to import, before anything is traced.
            act(template.copied_to(place / f"counted-{number}"), template.case.scenario)
        counted[case] = len(calls.names)
    actions = [
        partial(act, template.copied_to(place / f"recorded-{number}"), template.case.scenario)
        for number, template in enumerate(templates.values())
    ]
    statuses = traced.run(actions, [], place / "trace")
    assert statuses == [0] * len(actions), "an action failed by itself"
    for number, case in enumerate(templates):
        points[case] = traced.changing_calls((place / f"trace.{number}").read_text())
        seen = len(points[case])
        assert seen == counted[case], f"{case}: strace saw {seen} changing calls, the primitives made {counted[case]}"
    shutil.rmtree(place)
    return points


def _kill(call: traced.Call, templates: list[Template], place: Path, figures: Figures) -> None:
    place.mkdir()
    roots = [template.copied_to(place / str(number)) for number, template in enumerate(templates)]
    actions = [partial(act, root, template.case.scenario) for root, template in zip(roots, templates, strict=True)]
    statuses = traced.run(actions, traced.kill_at(call), place / "trace")
    for status, root, template in zip(statuses, roots, templates, strict=True):
        where = f"{template.case}, killed at {call.name} {call.number}"
        if not traced.was_killed(status):
            figures.fail(where, f"the process was not killed (wait status {status})")
        torn = at_rest(root, template.case.scenario)
        figures.fail(where, torn)
        figures.add("torn at rest", int(bool(torn)))
        figures.fail(where, after_restart(root, template))
    shutil.rmtree(place)

"""Errors: the system refuses any call of a pass, once or from then on, and the agent's own passes go on from there."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from registry_trust.agent.options import Mount
from registry_trust.agent.passes import Passes, PassResult
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.candidates import read
from registry_trust.core.observed import Target
from registry_trust.core.report import RowState, TargetState
from tools.torture.figures import Figures
from tools.torture.scenarios import CASES, Scenario, Template, after_restart, at_rest, target
from tools.trials.interruptions import Calls, interrupted
from tools.trials.roots import Root

GOAL = 600

ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE),
    *(errno.EINTR, errno.ENAMETOOLONG, errno.ELOOP, errno.EXDEV, errno.EBUSY, errno.ENOTEMPTY, errno.ESTALE),
    errno.ENOSYS,
)

WATCHED = 180.0
"""Seconds (of the agent's clock) for which a lasting error is looked at."""
MOST_TURNS = WATCHED / 1.0 + 1
"""Passes in that time: at most one a second."""
CURED_WITHIN = 61.0
"""Seconds from the end of an error to the last file in its place: a pause of 60, and the pass itself."""


@dataclass
class AgentOnRoot:
    """The agent's passes over one root, on a clock that only the test moves."""

    root: Root
    scenario: Scenario
    now: float = 1000.0
    turns: int = 0
    _passes: Passes = field(init=False)

    def __post_init__(self) -> None:
        path = str(self.root.path)
        self._passes = Passes([Mount(path, path)])
        self._passes.failures.rand = random.Random(7).random  # noqa: S311 - the same pauses each time

    def turn(self) -> PassResult:
        """Make one pass, and move the clock to the next."""
        path = str(self.root.path)
        desired = replace(target(self.scenario), withdrawn=self.scenario.uninstall)
        self.turns += 1
        result = self._passes.apply(
            [read(Target(path, self.root.layout))],
            desired,
            Applied("uid-1", 1),
            self.now,
        )
        self.now += 60.0 if result.next_pass is None else min(60.0, max(0.05, result.next_pass))  # as the loop waits
        return result


def errors(folder: Path, *, sample: int = 1, lasting_sample: int = 1) -> Figures:
    """Refuse every call of every case, reading ones too, with an error from the list, in turn.

    Args:
        folder: where to work.
        sample: only every so-many-th point for an error that comes once.
        lasting_sample: and for one that stays.
    """
    figures = Figures("errors at every call", "points", GOAL)
    number = 0
    for case_number, case in enumerate(CASES):
        template = Template(case, folder / f"template-{case_number}")
        for lasting, step in ((False, sample), (True, lasting_sample)):
            points = _calls_of(template, folder / f"counted-{number}", lasting=lasting)
            figures.add(f"calls {'that change something' if lasting else 'in all'}", points)
            for point in range(1, points + 1):
                number += 1
                if number % step:
                    continue
                code = ERRORS[(number // step) % len(ERRORS)]
                root = template.copied_to(folder / f"point-{number}")
                where = f"{case}, {errno.errorcode[code]} at call {point}{' and later ones' if lasting else ''}"
                figures.fail(
                    where, _try(root, template, Calls(_refusing(code), point, [], lasting, not lasting), figures)
                )
                figures.count += 1
                figures.add("errors that stay" if lasting else "errors that come once")
                shutil.rmtree(root.path, ignore_errors=True)
    return figures


def _refusing(code: int) -> Callable[[str], None]:
    def refuse(_: str) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def _calls_of(template: Template, path: Path, *, lasting: bool) -> int:
    root = template.copied_to(path)
    with interrupted(Calls(reading=not lasting)) as calls:
        AgentOnRoot(root, template.case.scenario).turn()
    shutil.rmtree(path)
    return len(calls.names)


def _try(root: Root, template: Template, calls: Calls, figures: Figures) -> str:
    scenario = template.case.scenario
    agent = AgentOnRoot(root, scenario)
    assert calls.act is not None
    with interrupted(calls):
        result = agent.turn()
        if torn := at_rest(root, scenario):
            figures.add("torn")
            return torn
        if fault := _said(result, root, scenario, calls) or ("" if calls.lasting else _others(result)):
            return fault
        if calls.lasting:
            until = 1000.0 + WATCHED
            while agent.now < until:
                agent.turn()
            if agent.turns > MOST_TURNS:
                return f"{agent.turns} passes in {WATCHED:g} s"
            figures.add("passes against errors that stay", agent.turns)
            if torn := at_rest(root, scenario):
                return torn
    cured = agent.now
    while not _is_well(result := agent.turn(), root, scenario):
        if agent.now - cured > CURED_WITHIN:
            return f"not well {CURED_WITHIN:g} s after the cure: {_messages(result)}"
    return after_restart(root, template)


def _said(result: PassResult, root: Root, scenario: Scenario, calls: Calls) -> str:
    """What did not come out says errno and path.

    But for a name that is too long: of a lookup it says that nothing has that name (`Directory.look`), and the report
    speaks of what follows from that.
    """
    code = _code(calls)
    named = "" if code == "ENAMETOOLONG" else f": {code} ("
    if not calls.reached() or (root.read() == scenario.new and not scenario.uninstall):
        return ""
    if scenario.uninstall and root.read() is None:
        return ""
    messages = _messages(result)
    if any(named in message and str(root.path) in message for message in messages):
        return ""
    return f"the report does not name {code} and the path: {messages}"


def _code(calls: Calls) -> str:
    assert calls.act is not None
    try:
        calls.act("")
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    raise AssertionError("the call was not refused")


def _others(result: PassResult) -> str:
    failing = [row.registry for row in result.rows if row.state is RowState.FAILED]
    return "" if len(failing) <= 1 else f"one error fails {failing}"


def _is_well(result: PassResult, root: Root, scenario: Scenario) -> bool:
    fine = all(row.state is not TargetState.FAILED for row in result.targets)
    return fine and not any(row.state is RowState.FAILED for row in result.rows) and root.read() == scenario.new


def _messages(result: PassResult) -> list[str]:
    return [
        *(row.problem.message for row in result.rows if row.state is RowState.FAILED and row.problem is not None),
        *(row.message for row in result.targets if row.state is TargetState.FAILED),
        *map(str, result.notices),
    ]

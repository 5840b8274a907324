"""Power loss: every tree that a disk may hold where the machine stops between two calls, and what is read of each.

The model is the strictest one that POSIX allows. What no fsync(2) of its own node has covered may be there or not, each
change alone and in any combination: names of a directory without the other names made before them, names without the
data behind them, data half written or all zeros, removals that came back. A rename inside one directory is one change;
of two directories each half may be lost alone (journals do better). An fsync of a new directory does not make its own
name durable.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from registry_trust.agent.single_pass import apply_once
from tools.torture.figures import Figures
from tools.torture.recording import Change, Data, Inode, Mode, Names, Recording, Reported, Sync, recorded
from tools.torture.scenarios import CASES, Case, Template, act, after_restart, at_rest, target
from tools.trials.roots import NOTHING, Root

GOAL = 5_000

MOST_OF_A_MOMENT = 1_024
"""States of one moment; where there would be more, this many are drawn."""

Choice = tuple[Change, ...]
"""The changes that reached the disk, in their order."""


def power_loss(folder: Path, *, sample: int = 1, cases: Sequence[Case] = CASES, ignore_sync: bool = False) -> Figures:
    """Try the states that a power loss may leave of every case.

    Args:
        folder: where to work.
        sample: only every so-many-th state, spread over all cases.
        cases: which cases.
        ignore_sync: pretend that no fsync was called, to see that the model finds what they are for.
    """
    figures = Figures("power loss (model)", "states", GOAL)
    number = 0
    for case_number, case in enumerate(cases):
        template = Template(case, folder / f"template-{case_number}")
        recording = _record(template, folder / f"recorded-{case_number}")
        if ignore_sync:
            recording.events = [event for event in recording.events if not isinstance(event, Sync)]
        verdicts: dict[tuple[object, ...], tuple[str, str]] = {}
        for choice, done in states(recording):
            number += 1
            if number % sample:
                continue
            figures.count += 1
            tree = tree_of(recording, choice)
            key = (_frozen(tree, recording.root), done)
            if key not in verdicts:
                verdicts[key] = _judge(tree, recording, template, folder / f"state-{number}", done=done)
                figures.add("different trees")
            torn, wrong = verdicts[key]
            where = f"{case}, with {len(choice)} of {len(recording.events)} changes on the disk"
            figures.fail(where, torn or wrong)
            figures.add("torn", int(bool(torn)))
    return figures


def states(recording: Recording) -> Iterator[tuple[Choice, bool]]:
    """Yield each set of changes that may be on the disk, and whether the pass had reported by then; none twice."""
    durable: list[Change] = []
    pending: list[Change] = []
    done = False
    yield (), done
    for moment, event in enumerate(recording.events):
        if isinstance(event, Sync):
            # What was possible after this was possible before it.
            pending = [change for change in pending if change.node != event.node]
            durable = [
                change
                for change in recording.events[: moment + 1]
                if isinstance(change, Names | Data | Mode) and all(change is not other for other in pending)
            ]
        elif isinstance(event, Reported):
            done = True
            yield from ((_ordered(recording, durable, kept), done) for kept in _subsets(pending, moment))
        else:
            # Those without this change were yielded before it.
            for kept in _subsets(pending, moment):
                for version in _versions(event):
                    yield (*_ordered(recording, durable, kept), version), done
            pending.append(event)


def _versions(change: Change) -> tuple[Change, ...]:
    """Return the ways in which a change may have reached the disk: of data also half, and its length alone."""
    if not isinstance(change, Data):
        return (change,)
    size = len(change.data)
    return (change, replace(change, data=change.data[: size // 2]), replace(change, data=bytes(size)))


def _subsets(pending: Sequence[Change], seed: int) -> Iterator[Choice]:
    options = [((), *((version,) for version in _versions(change))) for change in pending]
    possible = 1
    for option in options:
        possible *= len(option)
    if possible <= MOST_OF_A_MOMENT:
        chosen = product(*options)
        yield from (tuple(change for part in parts for change in part) for parts in chosen)
        return
    drawn = random.Random(seed)  # noqa: S311 - the same states each time
    for _ in range(MOST_OF_A_MOMENT):
        yield tuple(change for option in options for change in drawn.choice(option))


def _ordered(recording: Recording, durable: Sequence[Change], kept: Choice) -> Choice:
    """Return durable and kept changes in the order in which they were made."""
    if not kept:
        return tuple(durable)
    place = {id(event): number for number, event in enumerate(recording.events)}
    written = {event.node: number for number, event in enumerate(recording.events) if isinstance(event, Data)}

    def position(change: Change) -> int:
        # A half of a write stands where the write stands; the store writes each file once.
        return place[id(change)] if id(change) in place else written[change.node]

    return tuple(sorted((*durable, *kept), key=position))


def tree_of(recording: Recording, choice: Choice) -> dict[int, Inode]:
    """Return every node as the disk has it."""
    nodes = recording.state()
    for change in choice:
        node = nodes[change.node]
        if isinstance(change, Data):
            nodes[change.node] = replace(node, data=change.data)
        elif isinstance(change, Mode):
            nodes[change.node] = replace(node, mode=change.mode)
        else:
            names = dict(node.names)
            for name, target_node in change.names:
                names.pop(name, None)
                if target_node is not None:
                    names[name] = target_node
            nodes[change.node] = replace(node, names=tuple(sorted(names.items())))
    return nodes


def _frozen(tree: Mapping[int, Inode], number: int) -> tuple[object, ...]:
    node = tree[number]
    return (
        node.kind,
        node.mode,
        node.data,
        node.text,
        tuple((name, _frozen(tree, below)) for name, below in node.names),
    )


def lay_out(tree: Mapping[int, Inode], number: int, path: Path) -> None:
    """Make a tree on a real file system."""
    node = tree[number]
    if node.kind == "link":
        path.symlink_to(node.text)
        return
    if node.kind == "file":
        path.write_bytes(node.data)
    else:
        path.mkdir()
        for name, below in node.names:
            lay_out(tree, below, path / name)
    path.chmod(node.mode)


def _judge(
    tree: Mapping[int, Inode], recording: Recording, template: Template, path: Path, *, done: bool
) -> tuple[str, str]:
    lay_out(tree, recording.root, path)
    lost = template.laid_out_anew(path)
    root = Root(path, template.case.layout)
    torn = lost or at_rest(root, template.case.scenario, done=done)
    wrong = after_restart(root, template)
    shutil.rmtree(path)
    return torn, wrong


def _record(template: Template, path: Path) -> Recording:
    root = template.copied_to(path)
    scenario = template.case.scenario
    with recorded(path) as recording:
        if scenario.uninstall:
            apply_once(str(path), root.layout, NOTHING, remove=True)
            recording.events.append(Reported())
        else:
            root.bring_well(target(scenario))
            recording.events.append(Reported())
            act(root, scenario)
    return recording

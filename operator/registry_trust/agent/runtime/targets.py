"""Targets: which of the mounted roots are written, by what this node's runtime reads; a pure choice over facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from registry_trust.agent.runtime import candidates
from registry_trust.agent.runtime.candidates import CONTAINERD_ROOT, DOCKER_ROOT, Candidate, usual_layout
from registry_trust.agent.runtime.crio.runtime import CHAIN, ROOT
from registry_trust.agent.runtime.facts import Facts
from registry_trust.agent.runtime.node import NodeRuntime, parse_version
from registry_trust.core.layout import Layout
from registry_trust.core.observed import Target
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState

_NOTHING = Candidate(
    TargetRow(
        CONTAINERD_ROOT,
        Layout.CONTAINERD.value,
        TargetState.NOT_READ,
        Problem(
            Reason.NO_TARGET,
            "there is nothing to write to on this node: mount the root that its runtime reads, or name a target",
        ),
    )
)


def choose(facts: Facts) -> tuple[Candidate, ...]:
    """Choose what is written on a node, and say what is missing.

    Explicit targets first; then what the runtime reads; then, as standby, mounted roots that hold our files although
    nothing reads them now (any longer): they stay up to date instead of going stale or vanishing.
    """
    found = [*_explicit(facts), *(_discovered(facts) if facts.node.discover else ())]
    found = [*found, *_left_behind(facts.node, found)]
    return _refuse_contested(facts.node, _one_for_each_directory(facts.node, found)) or (_NOTHING,)


def _explicit(facts: Facts) -> Iterator[Candidate]:
    for explicit in facts.node.explicit:
        chain = CHAIN if explicit.layout is Layout.CONTAINERS and explicit.path in CHAIN else ()
        remark = facts.node.unseen_before(explicit.path, chain) if chain else ""
        readers = facts.dockerd.readers() if explicit.layout is Layout.DOCKER else ()
        yield candidates.read(
            Target(explicit.path, explicit.layout, chain, readers=readers), "named explicitly", remark
        )


def _discovered(facts: Facts) -> tuple[Candidate, ...]:
    """Return what the node's runtime reads."""
    node = facts.node
    version = parse_version(node.runtime)
    if node.scheme() == "docker":
        return facts.dockerd.candidates(node)
    if node.scheme() == "cri-o":
        return facts.crio.candidates(node)
    if node.scheme() == "containerd" and version is not None:
        return facts.containerd.candidates(node, version)
    if not node.runtime:
        return (
            candidates.unknown(
                "the Node does not report a runtime, or could not be read; name the targets explicitly (--target)"
            ),
        )
    return (
        candidates.unknown(
            f"the runtime {node.runtime} is not known to this version; name its targets explicitly (--target)"
        ),
    )


def _left_behind(node: NodeRuntime, found: Sequence[Candidate]) -> Iterator[Candidate]:
    """Keep up to date what was written to roots that nothing reads now; what was said of such a root already stands."""
    for root in node.roots:
        if root.written and not any(each.target is not None and each.path == root.path for each in found):
            target = Target(root.path, usual_layout(root.path))
            kept = candidates.standby(target, "nothing reads it now; what was written there is kept up to date")
            said = next((each for each in found if (each.path, each.row.layout) == (kept.path, kept.row.layout)), kept)
            yield replace(said, target=kept.target)


def _one_for_each_directory(node: NodeRuntime, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Keep one target for each directory, whatever paths lead to it; two layouts on one are an error."""
    identities = {root.path: root.identity for root in node.roots}
    chosen: dict[object, Candidate] = {}
    for candidate in found:
        if candidate.target is not None:
            key = identities.get(candidate.path) or candidate.path
            chosen[key] = _united(node, chosen[key], candidate) if key in chosen else candidate
    written = {candidate.path for candidate in found if candidate.target is not None}
    others = (candidate for candidate in found if candidate.path not in written)
    return (*chosen.values(), *others)


def _united(node: NodeRuntime, known: Candidate, other: Candidate) -> Candidate:
    """Return the first one of two targets in one directory, with what the second one adds."""
    first, second = known.target, other.target
    if first is None or second is None:
        return known
    explicit = {(target.path, target.layout) for target in node.explicit}
    if first.layout is not second.layout and {(target.path, target.layout) for target in (first, second)} <= explicit:
        message = (
            f"{first.path} and {second.path} are the same directory, but are configured with the layouts "
            f"{first.layout} and {second.layout}; name it once. It is written as {first.layout}"
        )
        return replace(known, row=_contested(known.row, message))
    if not first.chain and second.chain and not second.standby:
        # Named explicitly, and read by the runtime as well: then its other roots and its own names count, too.
        chain = tuple(first.path if path == second.path else path for path in second.chain)
        return replace(known, target=replace(first, chain=chain, readers=second.readers))
    return known


def _refuse_contested(node: NodeRuntime, found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    if not node.openshift:
        return found
    message = (
        f"OpenShift's node-ca deletes what it does not know in {DOCKER_ROOT}; name {ROOT} (layout containers) instead. "
        "Nothing is written here"
    )
    return tuple(Candidate(_contested(each.row, message)) if each.path == DOCKER_ROOT else each for each in found)


def _contested(row: TargetRow, message: str) -> TargetRow:
    return replace(row, state=TargetState.FAILED, problem=Problem(Reason.CONTESTED_ROOT, message))

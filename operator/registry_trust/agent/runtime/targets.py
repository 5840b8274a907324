"""Targets: which of the mounted roots are written, by what this node's runtime reads; a pure choice over facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registry_trust.agent.runtime import containerd_targets
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration, parse_version
from registry_trust.agent.runtime.containerd_targets import say_not_mounted, say_unknown
from registry_trust.agent.runtime.facts import (
    CONTAINERD_ROOT,
    CONTAINERS_CHAIN,
    CONTAINERS_ROOT,
    DOCKER_ROOT,
    Choice,
    Draft,
    Facts,
    usual_layout,
)
from registry_trust.core.layout import Layout
from registry_trust.core.plan import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState


def choose(facts: Facts) -> Choice:
    """Choose the targets of a node.

    Explicit ones first; then what the runtime reads; then, as standby, mounted roots that hold our files although
    nothing reads them now (any more): they stay up to date instead of going stale or vanishing.
    """
    draft = Draft()
    for explicit in facts.explicit:
        chain = CONTAINERS_CHAIN if explicit.layout is Layout.CONTAINERS and explicit.path in CONTAINERS_CHAIN else ()
        remark = facts.unseen_before(explicit.path, chain) if chain else ""
        remark = "; ".join(text for text in ("named explicitly", remark) if text)
        readers = facts.docker_readers if explicit.layout is Layout.DOCKER else ()
        draft.write(Target(explicit.path, explicit.layout, chain, readers=readers), TargetState.READ, remark)
    if facts.discover:
        _discover(facts, draft)
    known = {target.path for target in draft.targets}
    for root in facts.roots:
        if root.written and root.path not in known:
            target = Target(root.path, usual_layout(root.path), standby=True)
            draft.write(target, TargetState.STANDBY, "nothing reads it now; what was written there is kept up to date")
    choice = _refuse_contested(facts, _deduplicate(facts, draft))
    if choice.targets or choice.rows:
        return choice
    row = TargetRow(
        CONTAINERD_ROOT,
        Layout.CONTAINERD.value,
        TargetState.NOT_READ,
        Reason.NO_TARGET,
        "there is nothing to write to on this node: mount the root that its runtime reads, or name a target",
    )
    return Choice(rows=(row,))


def _discover(facts: Facts, draft: Draft) -> None:
    scheme, separator, _ = facts.runtime.partition("://")
    version = parse_version(facts.runtime)
    if scheme == "docker" and separator:
        dockerd = Target(DOCKER_ROOT, Layout.DOCKER, (DOCKER_ROOT,), readers=facts.docker_readers)
        _first_mounted(facts, draft, "dockerd", (DOCKER_ROOT,), dockerd, facts.docker_problem)
    elif scheme == "cri-o" and separator:
        crio = Target(CONTAINERS_ROOT, Layout.CONTAINERS, CONTAINERS_CHAIN)
        _first_mounted(facts, draft, "CRI-O", (CONTAINERS_ROOT, DOCKER_ROOT), crio)
    elif scheme == "containerd" and version is not None:
        if isinstance(facts.containerd, ContainerdConfiguration):
            containerd_targets.choose(facts, facts.containerd, version, draft)
        else:
            say_unknown(draft, facts.containerd or _NOT_MOUNTED)
    elif not facts.runtime:
        say_unknown(draft, "the Node says no runtime, or can't be read; name the targets explicitly (--target)")
    else:
        say_unknown(
            draft, f"the runtime {facts.runtime} is not known to this version; name its targets explicitly (--target)"
        )


_NOT_MOUNTED = (
    "the directory with containerd's configuration is not mounted into the agent (--runtime-config, by default "
    "/etc/containerd; distributions have other places); so it is not known what containerd reads"
)


def _first_mounted(
    facts: Facts, draft: Draft, name: str, candidates: Sequence[str], target: Target, problem: str = ""
) -> None:
    path = next((path for path in candidates if facts.mounted(path)), None)
    if path is None:
        say_not_mounted(draft, candidates[0], target.layout, f"{name} reads {candidates[0]}")
    else:
        remark = "; ".join(text for text in (problem, facts.unseen_before(path, target.chain)) if text)
        draft.write(replace(target, path=path), TargetState.READ, remark)


def _deduplicate(facts: Facts, draft: Draft) -> Choice:
    """Keep one target for each directory, whatever paths lead to it; two layouts on one are an error."""
    identities = {root.path: root.identity for root in facts.roots}
    chosen: dict[object, Target] = {}
    rows: dict[str, TargetRow] = {}
    explicit = {(target.path, target.layout) for target in facts.explicit}
    for target in draft.targets:
        key = identities.get(target.path) or target.path
        # The first word on a path stands: a root that is kept up to date is still NotRead or Unknown if it was said so.
        row = next(r for r in draft.rows if r.path == target.path and r.layout == target.layout.value)
        known = chosen.get(key)
        if known is None:
            chosen[key] = target
            rows[target.path] = row
        elif known.layout is not target.layout and {(t.path, t.layout) for t in (known, target)} <= explicit:
            rows[known.path] = replace(
                row,
                path=known.path,
                layout=known.layout.value,
                state=TargetState.FAILED,
                reason=Reason.CONTESTED_ROOT,
                message=f"{known.path} and {target.path} are one directory, and are to have the layouts {known.layout} "
                f"and {target.layout}; name it once. It is written as {known.layout}",
            )
        elif known.standby and not target.standby:
            chosen[key] = target
            rows = {path: r for path, r in rows.items() if path != known.path} | {target.path: row}
        elif not known.chain and target.chain and not target.standby:
            # Named explicitly, and read by the runtime as well: then its other roots and its own names count, too.
            chain = tuple(known.path if path == target.path else path for path in target.chain)
            chosen[key] = replace(known, chain=chain, readers=target.readers)
    written = {target.path for target in draft.targets}
    others = [row for row in draft.rows if row.path not in written]
    return Choice(tuple(chosen.values()), (*rows.values(), *others))


def _refuse_contested(facts: Facts, choice: Choice) -> Choice:
    if not facts.openshift:
        return choice
    rows = tuple(
        replace(
            row,
            state=TargetState.FAILED,
            reason=Reason.CONTESTED_ROOT,
            message=f"OpenShift's node-ca deletes what it does not know in {DOCKER_ROOT}; name "
            f"{CONTAINERS_ROOT} (layout containers) instead. Nothing is written here",
        )
        if row.path == DOCKER_ROOT
        else row
        for row in choice.rows
    )
    return Choice(tuple(target for target in choice.targets if target.path != DOCKER_ROOT), rows)

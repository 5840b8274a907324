"""The diagnosis: from the evidence of a node to what is wrong with it and with each registry; a pure function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.agent.store.manifest import StoreState
from registry_trust.core.explanations import EXPLANATIONS
from registry_trust.core.layout import Reader
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetState
from registry_trust.core.text import escape
from registry_trust.core.verdict.verdict import State
from registry_trust.doctor.evidence import Effect, Evidence, Lookup, PullError, RegistrySeen, Symptom

SKEW = 30.0
"""Seconds by which the clocks of node and API server may differ before it deserves a word."""


class Outlook(StrEnum):
    """How a registry, or the node as a whole, stands; the worst first."""

    FAILS = "fails"
    UNKNOWN = "unknown"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class RegistryDiagnosis:
    """One registry: its outlook, and the symptoms, the one that matters most first."""

    seen: RegistrySeen
    outlook: Outlook
    symptoms: tuple[Symptom, ...] = ()

    def error(self) -> PullError | None:
        """Return the words with which a pull fails; those of a file come before those of a missing directory."""
        words = [each.error for each in self.symptoms if each.error is not None and each.effect is Effect.FAILS]
        exact = [each for each in words if each is not PullError.UNKNOWN_AUTHORITY]
        return next(iter([*exact, *words]), None)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A node: what is wrong with it as a whole, and its registries, the worst first.

    `chief` is the symptom to act on first; None where nothing is to be done.
    """

    evidence: Evidence
    outlook: Outlook
    symptoms: tuple[Symptom, ...]
    registries: tuple[RegistryDiagnosis, ...]
    chief: Symptom | None = None

    @property
    def fix(self) -> str:
        """The one thing to do; empty where there is nothing."""
        return "" if self.chief is None else self.chief.fix or self.chief.found


_ORDER = (Effect.FAILS, Effect.UNKNOWN, Effect.NOTE)
_OUTLOOKS = {Effect.FAILS: Outlook.FAILS, Effect.UNKNOWN: Outlook.UNKNOWN}


def diagnose(evidence: Evidence) -> Diagnosis:
    """Return what the evidence amounts to.

    The one thing to do is that of the first symptom: what keeps every registry from being read comes before what
    concerns one of them, and what fails before what is not known.
    """
    node = _sorted(_of_node(evidence))
    registries = sorted(
        (_of_registry(each, evidence) for each in evidence.registries),
        key=lambda each: ([*Outlook].index(each.outlook), each.seen.registry),
    )
    everything = _sorted([*node, *(symptom for each in registries for symptom in each.symptoms)])
    chief = next((each for each in everything if each.effect is not Effect.NOTE), None)
    worst = min((*(each.outlook for each in registries), _outlook(node)), key=[*Outlook].index)
    return Diagnosis(evidence, worst, node, tuple(registries), chief)


def _sorted(symptoms: Iterator[Symptom] | list[Symptom]) -> tuple[Symptom, ...]:
    """Return symptoms, each once and the worst first; of equally bad ones the order stays."""
    return tuple(sorted(dict.fromkeys(symptoms), key=lambda each: _ORDER.index(each.effect)))


def _outlook(symptoms: tuple[Symptom, ...]) -> Outlook:
    return _OUTLOOKS.get(symptoms[0].effect, Outlook.GOOD) if symptoms else Outlook.GOOD


# The node


def _of_node(evidence: Evidence) -> Iterator[Symptom]:
    yield from _of_targets(evidence)
    yield from _of_cluster(evidence)
    yield from _of_stores(evidence)
    yield from _of_report(evidence)
    for remark in evidence.remarks:
        yield Symptom(Effect.NOTE, remark.message, "", remark.reason)
    if evidence.proxy:
        gist = f"a unit of systemd sets {evidence.proxy}; if it is the runtime's, pulls go through that proxy"
        yield Symptom(Effect.NOTE, f"{gist}, and its errors come before those of the registry")


def _of_targets(evidence: Evidence) -> Iterator[Symptom]:
    for row in evidence.targets:
        if row.problem is None:
            continue
        if row.problem.reason is Reason.RUNTIME_UNKNOWN and not evidence.cluster.runtime:
            fix = (
                "Say which runtime it is: --runtime containerd://2.1.4, as kubectl get node -o wide shows it "
                "(CONTAINER-RUNTIME)"
            )
            yield Symptom(Effect.UNKNOWN, "the node's runtime is not known", fix, row.problem.reason, None, row.path)
            continue
        if row.state is TargetState.STANDBY:
            yield _of_problem(Effect.NOTE, row.problem, where=row.path)
        elif row.state is TargetState.UNKNOWN:
            fails = row.problem.reason is Reason.RUNTIME_NOT_RESTARTED or bool(evidence.legacy)
            error = PullError.LEGACY_TABLES if evidence.legacy else None
            effect = Effect.FAILS if fails else Effect.UNKNOWN
            yield _of_problem(effect, row.problem, error or (PullError.UNKNOWN_AUTHORITY if fails else None), row.path)
        else:
            yield _of_problem(Effect.FAILS, row.problem, PullError.UNKNOWN_AUTHORITY, row.path)


def _of_problem(effect: Effect, problem: Problem, error: PullError | None = None, where: str = "") -> Symptom:
    """Return what the agent says of a root or a row: its messages end with what to do."""
    return Symptom(effect, problem.message, "", problem.reason, error, where)


def _of_cluster(evidence: Evidence) -> Iterator[Symptom]:
    cluster = evidence.cluster
    if cluster.problem:
        fix = (
            "Check the node's way to the API server: its address, a network policy, a proxy, the node's clock. Until "
            "then files stay as they are"
        )
        yield Symptom(Effect.UNKNOWN, f"the API server could not be asked: {cluster.problem}", fix)
    if cluster.clock is not None and abs(cluster.clock.ahead) - cluster.clock.error > SKEW:
        word = "ahead of" if cluster.clock.ahead > 0 else "behind"
        found = f"the node's clock is {abs(cluster.clock.ahead):.0f} seconds {word} the API server's"
        fix = "Set the node's clock (timedatectl, chronyc makestep): certificates are judged by it"
        yield Symptom(Effect.UNKNOWN, found, fix, None, PullError.DATES)
    if cluster.bundle_problem is not None:
        problem = cluster.bundle_problem
        yield Symptom(Effect.UNKNOWN, problem.message, EXPLANATIONS[problem.reason].fix, problem.reason)


def _of_stores(evidence: Evidence) -> Iterator[Symptom]:
    serial = evidence.cluster.serial
    for path, state in evidence.states.items():
        if isinstance(state, Problem):
            if not any(row.path == path and row.problem == state for row in evidence.targets):
                yield _of_problem(Effect.NOTE, state, where=path)
        elif state.source not in ("", evidence.source) and evidence.cluster.serial is not None:
            found = f"{path} is written for the bundle {escape(state.source)}, and not for {evidence.source}"
            fix = EXPLANATIONS[Reason.OTHER_INSTALLATION].fix
            yield Symptom(Effect.UNKNOWN, found, fix, Reason.OTHER_INSTALLATION, None, path)
        elif serial is not None and evidence.cluster.uid in ("", state.bundle_uid) and state.serial < serial:
            found = f"{path} has the files of bundle serial {state.serial}, and the bundle is at {serial}"
            yield Symptom(Effect.UNKNOWN, found, _AGENTS_LOG, Reason.NODE_PENDING, None, path)


_AGENTS_LOG = (
    "Run this again in a minute. If it says the same, see the agent's log on this node (kubectl -n registry-trust "
    "logs POD)"
)


def _of_report(evidence: Evidence) -> Iterator[Symptom]:
    cluster = evidence.cluster
    if not cluster.asked or cluster.problem:
        return
    if cluster.report is None:
        fix = "See that an agent is running on this node: kubectl -n registry-trust get pods -o wide"
        found = f"the node's report (NodeTrust {escape(evidence.node)}) can't be compared: {cluster.report_problem}"
        yield Symptom(Effect.UNKNOWN, found, fix, Reason.AGENT_SILENT)
        return
    newest = max((each.serial for each in evidence.states.values() if isinstance(each, StoreState)), default=0)
    if cluster.report.serial < newest:
        found = f"the report is about bundle serial {cluster.report.serial}, and the node has the files of {newest}"
        yield Symptom(Effect.NOTE, found, "", Reason.NODE_PENDING)


# A registry


def _of_registry(seen: RegistrySeen, evidence: Evidence) -> RegistryDiagnosis:
    symptoms = _sorted(_symptoms(seen, evidence))
    outlook = _outlook(symptoms)
    # What keeps everything from being read is said of the node, and is so of each registry.
    blocked = _sorted(list(_of_targets(evidence)))
    outlook = min(outlook, _outlook(blocked), key=[*Outlook].index)
    return RegistryDiagnosis(seen, outlook, symptoms)


def _symptoms(seen: RegistrySeen, evidence: Evidence) -> Iterator[Symptom]:
    if seen.refused:
        yield Symptom(
            Effect.FAILS,
            seen.refused,
            f"Name {escape(seen.registry)}, byte for byte as the image does, in a RegistryTrust that selects this node",
            None,
            PullError.UNKNOWN_AUTHORITY,
            seen.registry,
        )
    if seen.row is not None:
        yield from _of_row(seen, seen.row)
    if seen.pending and (seen.row is None or seen.row.state is RowState.CURRENT):
        yield Symptom(Effect.FAILS, seen.pending, _AGENTS_LOG, Reason.NODE_PENDING, None, seen.registry)
    for lookup in seen.lookups:
        yield from _of_lookup(seen, lookup)
    if seen.verdict is not None and seen.verdict.state is not State.VERIFIED:
        effect = Effect.FAILS if seen.verdict.state is State.FAILED else Effect.NOTE
        problem = seen.verdict.problem
        yield _of_problem(effect, problem, _ANSWERS.get(problem.reason), seen.registry)
    if evidence.cluster.report is not None:
        yield from _reported(seen, evidence.cluster.report)


_ANSWERS = {
    Reason.UNKNOWN_AUTHORITY: PullError.UNKNOWN_AUTHORITY,
    Reason.OUTSIDE_VALIDITY: PullError.DATES,
    Reason.WRONG_NAME: PullError.OTHER_NAME,
    Reason.COMMON_NAME_ONLY: PullError.COMMON_NAME,
    Reason.CLIENT_CERTIFICATE_REFUSED: PullError.CERTIFICATE_REQUIRED,
}
"""The words of a pull for what a registry's answer shows."""


def _of_row(seen: RegistrySeen, row: RegistryRow) -> Iterator[Symptom]:
    if row.problem is None:
        return
    if row.state is RowState.FAILED:
        yield _of_problem(Effect.FAILS, row.problem, PullError.UNKNOWN_AUTHORITY, seen.registry)
    elif row.problem.reason is Reason.RUNTIME_IGNORES_TLS:
        yield _of_problem(Effect.UNKNOWN, row.problem, None, seen.registry)
    else:
        effect = Effect.NOTE if row.state is RowState.CURRENT else Effect.UNKNOWN
        yield _of_problem(effect, row.problem, None, seen.registry)


def _of_lookup(seen: RegistrySeen, lookup: Lookup) -> Iterator[Symptom]:
    expected = bool(seen.trusts)
    if expected and not lookup.path:
        hub = lookup.reader is Reader.DOCKERD
        found = f"{lookup.reader} finds no directory for it in {lookup.target}"
        if not (hub and seen.row is not None and seen.row.problem is not None):
            yield Symptom(
                Effect.FAILS, found, _AGENTS_LOG, Reason.NODE_PENDING, PullError.UNKNOWN_AUTHORITY, seen.registry
            )
    elif expected and not lookup.ours and (seen.row is None or seen.row.state is RowState.CURRENT):
        found = f"{lookup.reader} reads {escape(lookup.path)}, which registry-trust did not write"
        fix = f"Move {escape(lookup.path)} away"
        yield Symptom(Effect.FAILS, found, fix, Reason.SHADOWED, PullError.UNKNOWN_AUTHORITY, seen.registry)
    yield from lookup.symptoms
    for file in lookup.files:
        yield from file.symptoms


def _reported(seen: RegistrySeen, report: NodeReport) -> Iterator[Symptom]:
    """Say where the report and the node differ; what is so is what was found just now."""
    row = next((each for each in report.registries if each.registry == seen.registry and not each.trust), None)
    if row is None and seen.row is not None and not report.is_truncated() and report.registry_count:
        yield Symptom(Effect.NOTE, "the report does not list it yet", "", Reason.NODE_PENDING, None, seen.registry)
    if row is None or seen.row is None:
        return
    if row.state is not seen.row.state or _reason(row) != _reason(seen.row):
        said, found = (f"{each.state.value} {_reason(each)}".rstrip() for each in (row, seen.row))
        yield Symptom(
            Effect.NOTE, f"the report says {said}, and this look finds {found}", "", None, None, seen.registry
        )


def _reason(row: RegistryRow) -> str:
    return "" if row.problem is None else row.problem.reason.value

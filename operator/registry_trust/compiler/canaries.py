"""Canaries: which nodes may have a trust's new content first, which of them are chosen, and what each says of it."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from registry_trust.compiler.node_standing import BAD_TARGETS, FleetNode
from registry_trust.compiler.verifiers import MOST, place_of
from registry_trust.core.bundle import SCHEMA, CanaryContent, TrustContent
from registry_trust.core.names import MAXIMUM_CANARIES
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.trust import Rollout
from registry_trust.core.verdict.verdict import State as VerdictState


class Says(StrEnum):
    """What a canary says of a candidate, the gravest first."""

    FAILED = "Failed"
    """It can't apply it, or pulls fail with it that did not fail before."""
    UNPROVEN = "Unproven"
    """It has it, and can't tell whether pulls work; or they do not, as before."""
    WAITING = "Waiting"
    """It is not as far yet."""
    FINE = "Fine"


@dataclass(frozen=True, slots=True)
class Word:
    """What one canary says, and of which registry."""

    node: str
    says: Says
    registry: str = ""
    problem: Problem | None = None

    @property
    def shown(self) -> str:
        """Return it as messages show it."""
        registry = f"{self.registry}: " if self.registry else ""
        return f"{self.node}: {registry}{self.problem}"


class Canaries:
    """The nodes of a cluster and their reports, as far as canaries need them; nothing is read before it is asked."""

    def __init__(
        self, able: Callable[[], Iterable[FleetNode]], reports: Mapping[str, NodeReport], bundle_uid: str, newest: int
    ) -> None:
        """Take what is known of the cluster.

        Args:
            able: returns the nodes that can do something now (Ready, with a live agent).
            reports: what nodes say of themselves, by name.
            bundle_uid: the bundle that a report has to speak of.
            newest: its highest serial; a report of a higher one speaks of a history that is lost.
        """
        self._able = able
        self._reports = reports
        self._uid = bundle_uid
        self._newest = newest

    @cached_property
    def _nodes(self) -> dict[str, FleetNode]:
        """The nodes that may be canaries: of these alone something can be expected, and their agents know candidates.

        One whose target fails says nothing of a content: it would fail with any.
        """
        return {node.name: node for node in self._able() if node.runs_linux and self._understands(node.name)}

    def _understands(self, name: str) -> bool:
        report = self._reports.get(name)
        if report is None or report.bundle_uid != self._uid or report.schema < SCHEMA:
            return False
        return not any(target.state in BAD_TARGETS for target in report.targets)

    def chosen(self, kept: Iterable[str], content: TrustContent, rollout: Rollout, place: str) -> tuple[str, ...]:
        """Return the names of a candidate's canaries, sorted.

        Those that it has stay as long as they are fit. Others come from the place on the ring of hashes that stands
        for the candidate, and first of all those on which none of its registries fails already.

        Args:
            kept: the canaries that it has.
            content: the candidate's.
            rollout: how many, and which.
            place: names the candidate.
        """
        if not self._nodes:
            return tuple(kept)  # A leader that knows of no agent yet must not begin everything again.
        fit = {
            name: node
            for name, node in self._nodes.items()
            if content.selects(node.labels) and (rollout.selector is None or rollout.selector.selects(node.labels))
        }
        wanted = -(-len(fit) * rollout.canaries // 100) if rollout.percent else rollout.canaries
        wanted = min(wanted, len(fit), MAXIMUM_CANARIES)
        stay = [name for name in kept if name in fit][:wanted]
        if len(stay) < wanted:
            ring = sorted((place_of(name), name) for name in fit if name not in stay)
            start = bisect.bisect(ring, (place_of(place), ""))
            turn = [name for _, name in (*ring[start:], *ring[:start])]
            turn.sort(key=lambda name: self._fails(name, content))
            stay += turn[: wanted - len(stay)]
        return tuple(sorted(stay))

    def _fails(self, name: str, content: TrustContent) -> bool:
        rows = self._reports[name].registries
        return any(row.state is RowState.FAILED and row.registry in content.registries for row in rows)

    def failing_before(self, verifiers: Iterable[str], since: int) -> tuple[str, ...]:
        """Return the registries from which pulls fail with what is served, as every verifier with a verdict says.

        Args:
            verifiers: the nodes that ask.
            since: the serial from which they have what is served.
        """
        verdicts: dict[str, set[VerdictState]] = {}
        for name in verifiers:
            report = self._reports.get(name)
            if report is not None and report.bundle_uid == self._uid and since <= report.serial <= self._newest:
                for row in report.registries:
                    if row.finding is not None and not row.trust:
                        verdicts.setdefault(row.registry, set()).add(row.finding.state)
        return tuple(sorted(registry for registry, found in verdicts.items() if found == {VerdictState.FAILED}))

    def word_of(self, name: str, trust: str, candidate: CanaryContent, *, verify: bool) -> Word:
        """Return what a canary says of a candidate.

        Args:
            name: the canary.
            trust: the candidate's trust.
            candidate: what it is to have.
            verify: whether it is to have asked the registries.
        """
        node, report = self._nodes.get(name), self._reports.get(name)
        if node is None or report is None or not candidate.since <= report.serial <= self._newest:
            return Word(name, Says.WAITING, problem=_NOT_REPORTED)
        if candidate.content.selector is not None and report.labels_hash != node.labels_hash:
            return Word(name, Says.WAITING, problem=_NOT_REPORTED)
        registries = candidate.content.registries
        rows = [row for row in report.registries if row.registry in registries and row.trust in ("", trust)]
        words = [_of_row(name, row) for row in rows]
        if report.is_truncated():
            words.append(Word(name, Says.WAITING, problem=Problem(Reason.NODES_FAILING, _TRUNCATED)))
        if verify:
            words += _verdicts(name, rows, candidate)
        order = list(Says)
        return min(words, key=lambda word: (order.index(word.says), word.registry), default=Word(name, Says.FINE))


def asking(canaries: tuple[str, ...]) -> tuple[str, ...]:
    """Return the canaries that ask the registries: as few as verifiers at any other time."""
    return canaries[:MOST]


_NOT_REPORTED = Problem(Reason.NODE_PENDING, "the agent has not reported this revision yet")
_TRUNCATED = "more registries are failing on this node than its report can list"


def _of_row(name: str, row: RegistryRow) -> Word:
    if row.state is RowState.CURRENT:
        return Word(name, Says.FINE)
    says = Says.FAILED if row.state is RowState.FAILED else Says.WAITING
    return Word(name, says, row.registry, row.problem)


def _verdicts(name: str, rows: list[RegistryRow], candidate: CanaryContent) -> Iterable[Word]:
    found = {row.registry: row.finding for row in rows if not row.trust and row.state is RowState.CURRENT}
    for registry in candidate.content.registries:
        verdict = found.get(registry)
        if verdict is None:
            problem = Problem(Reason.NOT_VERIFIED, "the node has not asked the registry yet")
            yield Word(name, Says.WAITING, registry, problem)
        elif verdict.state is VerdictState.FAILED and registry not in candidate.failing:
            yield Word(name, Says.FAILED, registry, verdict.problem)
        elif verdict.state is not VerdictState.VERIFIED:
            yield Word(name, Says.UNPROVEN, registry, verdict.problem)

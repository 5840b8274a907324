"""The examination: gathers the evidence of a node from its files and the cluster, by the agent's own rooms."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from registry_trust.agent.host_view import environment
from registry_trust.agent.passes import after_look
from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration
from registry_trust.agent.runtime.facts import Facts, readers_of
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.runtime.targets import choose
from registry_trust.agent.store import unlocked
from registry_trust.agent.store.manifest import StoreState
from registry_trust.agent.store.neighbour_roots import NeighbourRoots
from registry_trust.agent.store.unlocked import RootSeen
from registry_trust.agent.verifier import Inquiry, ask
from registry_trust.core.around import first_found
from registry_trust.core.desired import Desired, desired_state
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import entry_name
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.plan import Plan, Remove, Switch, make_plan, merge_rows
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.text import escape
from registry_trust.doctor import cluster, wanting
from registry_trust.doctor.cluster import Answers
from registry_trust.doctor.evidence import Evidence, Lookup, RegistrySeen
from registry_trust.doctor.loading import Loading
from registry_trust.doctor.options import DoctorOptions

LOOKS, PAUSE = 4, 0.5
"""How often a root is looked at while something in it seems to be wrong, and the seconds in between.

An agent may be at work: what it is about to do is over by then.
"""


@dataclass(slots=True)
class _Look:
    """What one look at all roots shows, by path on the host."""

    seen: dict[str, RootSeen] = field(default_factory=dict)
    failed: dict[str, StoreFailure] = field(default_factory=dict)
    neighbours: Mapping[str, ObservedRoot] = field(default_factory=dict)
    unseen: Mapping[str, StoreFailure] = field(default_factory=dict)

    def observed(self) -> dict[str, ObservedRoot]:
        """Return what all of them hold."""
        return {**self.neighbours, **{path: each.root for path, each in self.seen.items()}}


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What a pass would make of the node: its plans, and a row for each registry."""

    plans: tuple[Plan, ...] = ()
    rows: tuple[RegistryRow, ...] = ()
    notices: tuple[Problem, ...] = ()

    def pending(self) -> bool:
        """Say whether something is to be changed."""
        return any(isinstance(step, Switch | Remove) for plan in self.plans for step in plan.steps)


class Examination:
    """One look at a node; reads only, and waits for nobody's lock."""

    def __init__(
        self,
        options: DoctorOptions,
        *,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Examine as the options say.

        Args:
            options: what is asked, and how the node is seen from here.
            clock: Unix time.
            pause: waits for so many seconds.
        """
        self._options = options
        self._clock = clock
        self._pause = pause
        agent = options.agent
        self._host = ConfigurationFiles((*agent.roots, *agent.configurations))
        self._source = f"{agent.namespace}/{agent.bundle}"

    def evidence(self) -> Evidence:
        """Return everything that is found."""
        answers = cluster.ask(self._options, self._clock)
        bundle, node = answers.bundle, self._options.agent.node
        desired = None if bundle is None else desired_state(bundle, answers.labels, node)
        for look in range(LOOKS):
            if look:
                self._pause(PAUSE)
            roots = self._look()
            facts, candidates = self._choice(answers, roots)
            comparison = _Comparison() if desired is None else _compared(desired, candidates, facts, roots)
            faults = any(each.faults for each in roots.seen.values())
            if not faults and not comparison.pending():
                break
        targets = [each.target for each in candidates if each.target is not None and not each.target.standby]
        known = facts.containerd.configuration
        names = self._registries(desired, roots, answers)
        loading = Loading(self._host, self._clock())
        return Evidence(
            node=self._options.agent.node,
            now=self._clock(),
            source=self._source,
            cluster=answers.seen,
            targets=tuple(each.row for each in candidates),
            legacy=known.refusal() if isinstance(known, ContainerdConfiguration) else "",
            states=_states(roots),
            proxy=next(iter(environment(self._view())), ""),
            remarks=(*comparison.notices, *(each for seen in roots.seen.values() for each in seen.findings)),
            registries=tuple(
                self._with_verdict(
                    replace(
                        wanting.registry(name, answers, desired, roots.observed(), targets),
                        row=next((row for row in comparison.rows if row.registry == name and not row.trust), None),
                        pending=_pending(name, comparison, roots),
                        lookups=tuple(_lookups(name, targets, roots, loading)),
                    ),
                    answers.seen.report,
                )
                for name in names
            ),
        )

    def _with_verdict(self, seen: RegistrySeen, report: NodeReport | None) -> RegistrySeen:
        """Ask the registry that is named, if its files are there and read; of others the report's word counts."""
        rows = () if report is None else report.registries
        said = next((row.finding for row in rows if row.registry == seen.registry and row.finding is not None), None)
        lookup = next((each for each in seen.lookups if each.ours), None)
        current = seen.row is not None and seen.row.state is RowState.CURRENT and not seen.pending
        if not (self._options.ask and self._options.registry and lookup is not None and current):
            return replace(seen, verdict=said)
        root, _, entry = lookup.path.rpartition("/")
        inquiry = Inquiry(seen.registry, "", f"{self._host.place_of(root)}/{entry}", lookup.reader)
        return replace(seen, verdict=ask(inquiry, self._view(), own_network=self._options.node_root == ""))

    def _view(self) -> Path | None:
        """Return where parts of the host's file system are."""
        node_root, view = self._options.node_root, self._options.agent.host_view
        if node_root is not None:
            return Path(node_root or "/")
        return Path(view) if view else None

    def _look(self) -> _Look:
        roots = _Look()
        for mount in self._options.agent.roots:
            try:
                roots.seen[mount.host] = unlocked.look(self._host.place_of(mount.host), mount.host)
            except StoreFailure as error:
                roots.failed[mount.host] = error
            except UnreadableConfiguration as error:
                roots.failed[mount.host] = StoreFailure(Reason.RUNTIME_UNKNOWN, escape(str(error), 600))
        return roots

    def _choice(self, answers: Answers, roots: _Look) -> tuple[Facts, tuple[Candidate, ...]]:
        """Return the roots that are written, as the agent would choose them."""
        agent = self._options.agent
        mine = {"", self._source}
        written = frozenset(
            path
            for path, seen in roots.seen.items()
            if seen.state is not None and (seen.state.source in mine or not self._options.in_agent)
        )
        facts = Runtimes(agent, clock=self._clock).facts(answers.seen.runtime, answers.labels, written, answers.signs)
        candidates = choose(facts)
        targets = [each.target for each in candidates if each.target is not None]
        neighbours = NeighbourRoots(agent.configurations, agent.roots)
        roots.neighbours, roots.unseen = neighbours.observe(targets)
        return facts, tuple(
            each
            if each.target is None
            else after_look(
                each,
                each.target,
                roots.failed[each.path].problem if each.path in roots.failed else None,
                roots.unseen,
            )
            for each in candidates
        )

    def _registries(self, desired: Desired | None, roots: _Look, answers: Answers) -> list[str]:
        if self._options.registry:
            return [self._options.registry]
        names = set() if desired is None else set(desired.registries)
        names |= {own.registry for seen in roots.seen.values() for own in seen.root.own.values() if own.digest}
        if answers.seen.report is not None:
            names |= {row.registry for row in answers.seen.report.registries}
        return sorted(names)


def _compared(desired: Desired, candidates: tuple[Candidate, ...], facts: Facts, roots: _Look) -> _Comparison:
    """Plan as a pass does, without a step of it."""
    observed = roots.observed()
    targets = [each.target for each in candidates if each.target is not None and each.target.path in observed]
    plans = tuple(make_plan(target, desired, observed) for target in targets)
    readers = readers_of(candidates)
    merged = merge_rows([(plan.target, plan.rows) for plan in plans])
    rows = facts.with_exceptions(merged, readers)
    mirrors = (each for target in targets for each in mirror_notices(target, desired, observed))
    return _Comparison(plans, (*rows, *desired.conflicts), (*facts.notices(rows, readers), *mirrors))


def _pending(registry: str, comparison: _Comparison, roots: _Look) -> str:
    """Say what the next pass would change of a registry's files."""
    for plan in comparison.plans:
        path = plan.target.path
        for step in plan.steps:
            own = roots.seen[path].root.own.get(step.entry) if path in roots.seen else None
            if isinstance(step, Switch) and step.desired.registry == registry:
                fault = roots.seen[path].faults.get(step.entry, "") if path in roots.seen else ""
                if fault:
                    return f"{path}/{step.entry}: {fault}"
                gist = (
                    "is not there"
                    if own is None or not own.generation
                    else "has other content than the bundle asks for"
                )
                return f"{path}/{step.entry} {gist}"
            if isinstance(step, Remove) and own is not None and own.registry == registry:
                return f"{path}/{step.entry} is still there, and no trust asks for it any longer"
    return ""


def _lookups(registry: str, targets: list[Target], roots: _Look, loading: Loading) -> Iterator[Lookup]:
    observed = roots.observed()
    for target in targets:
        for reader in target.possible_readers():
            root, name = first_found(reader, registry, target, observed)
            if not root:
                yield Lookup(target.path, reader)
                continue
            ours = observed[root].linked(name) and name == entry_name(target.layout, registry)
            yield loading.directory(Lookup(target.path, reader, f"{root}/{name}", ours))


def _states(roots: _Look) -> dict[str, StoreState | Problem]:
    states: dict[str, StoreState | Problem] = {
        path: seen.state for path, seen in roots.seen.items() if seen.state is not None
    }
    return {**states, **{path: error.problem for path, error in roots.failed.items()}}

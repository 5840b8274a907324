"""The reconciler: one pass reads the map, compiles, writes the bundle once, and then the statuses that changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.fleet import Fleet, count_missing
from registry_trust.compiler.node_standing import Served
from registry_trust.compiler.served_certificates import states
from registry_trust.compiler.verifiers import NOBODY, Verifiers
from registry_trust.controller import metrics
from registry_trust.controller.agents import find_agents
from registry_trust.controller.announcements import Announcements
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.crd_guard import CRDGuard
from registry_trust.controller.delays import Delays
from registry_trust.controller.events import Events
from registry_trust.controller.history import History
from registry_trust.controller.settings import OperatorSettings
from registry_trust.controller.startup_taints import StartupTaints
from registry_trust.controller.statuses import StatusWriter
from registry_trust.core.bundle import CanaryContent
from registry_trust.core.report import NodeReport

_log = logging.getLogger(__name__)


class Reconciler:
    """All of the operator's decisions in one thread: `look`, `compile` and `write_statuses` come again and again."""

    def __init__(self, server: ApiServer, settings: OperatorSettings, cluster: ClusterMap, clock: Clock) -> None:
        self._server = server
        self._settings = settings
        self._cluster = cluster
        self._clock = clock
        self._history = History(server, settings.namespace, settings.bundle_name, clock)
        self._crd = CRDGuard(clock)
        events = Events(server, clock)
        self._delays = Delays()
        self._statuses = StatusWriter(server, cluster, events, self._delays, settings.expiry_warning, clock)
        self._announcements = Announcements(events, f"{settings.namespace}/{settings.bundle_name}")
        self._taints = StartupTaints(server, cluster, events, clock) if settings.startup_taint else None
        self._fleet = Fleet()
        self._checker = Checker()
        self._compiled: Compiled | None = None
        self._judged_at = 0.0
        self._seen: float | None = None
        self.ready = False

    @property
    def crd_uid(self) -> str:
        """Return the UID of the CRD as it was last seen whole; empty before the first time."""
        return self._crd.uid

    @property
    def problem(self) -> str:
        """Return why the operator is not ready; empty if it is."""
        return "" if self.ready else "no pass over all trusts has ended yet"

    def statuses_pending(self) -> bool:
        """Say whether a status may have to be written, or a node may be rid of its startup taint."""
        taints = self._taints is not None and self._taints.pending
        return self._compiled is not None and (taints or self._statuses.pending())

    def relist(self) -> bool:
        """LIST everything completely, and count the fleet again.

        Raises:
            ApiFailure: a LIST failed; nothing was taken.
        """
        changed = self._cluster.relist(self._server)
        self._recount()
        return changed

    def poll(self) -> bool:
        """Look at what is not watched: the bundle's version, the CRD, the DaemonSet; say whether to compile.

        Raises:
            ApiFailure: the API server did not say.
        """
        changed = self._crd.look(self._server)
        if self._cluster.look_back(self._server):
            _log.warning("the API server's history was set back, as by a restored etcd; listing everything again")
        before = self._history.uid
        changed = self._history.look(_reports(self._cluster)) or changed
        if self._history.stored is not None and not self.ready and not self._history.stored.bundle.trusts:
            self._crd.thaw()  # The first start of all.
        if self._history.uid not in ("", before):
            self._recount()
        nodes = frozenset(self._cluster.nodes.values())
        agents = find_agents(self._server, self._settings.namespace, self._settings.agent_name, nodes)
        if agents.placement is None and self._fleet.agents.placement is not None:
            _log.error("there is no DaemonSet %s; apply the chart or deploy/ again", self._settings.agent_name)
        # A trust of which nobody could ask yet gets its verifiers when agents come.
        changed = changed or self._fleet.agents.live != agents.live
        self._statuses.touch(self._fleet.set_agents(agents))
        metrics.AGENTS_MISSING.set(count_missing(self._cluster.nodes.values().values(), agents))
        metrics.SERIAL_LAG.set(self._fleet.serial_lag(self._history.last.serial))
        return changed

    def take_nodes(self, names: set[str]) -> bool:
        """Take changed Nodes and reports into the counts: each costs one node; say whether to compile for them."""
        for name in names:
            node = self._cluster.nodes.get(name)
            owned = self._cluster.reports.get(name)
            # A report of a Node that is gone says nothing of the one that has its name now.
            fits = node is not None and owned is not None and owned.node_uid == node.uid
            self._statuses.touch_for_nodes(self._fleet.set_node(name, node))
            if self._taints is not None and node is not None and node.startup_taints:
                self._taints.pending = True
            report = owned.report if owned is not None and fits else None
            self._statuses.touch_for_nodes(self._fleet.set_report(name, report))
        self._announcements.drift({name: self._cluster.reports.get(name) for name in names})
        candidates = self._candidates
        return bool(names) and any(
            not candidate.canaries or not names.isdisjoint(candidate.canaries) for candidate in candidates
        )

    @property
    def _candidates(self) -> list[CanaryContent]:
        """What canaries are to say something of: only then do reports change the bundle."""
        outcomes = self._compiled.outcomes if self._compiled is not None else {}
        return [outcome.candidate for outcome in outcomes.values() if outcome.candidate is not None]

    def compile(self, seen: float | None = None) -> float | None:
        """Compile, and write the bundle if it changed; return the seconds until time alone is a reason to do it again.

        Args:
            seen: steady time of the first change since the last compilation; None if only time passed.

        Raises:
            ApiFailure: the bundle could not be written; statuses then speak of what is served.
        """
        self._seen = self._seen or seen
        stored = self._history.stored
        if stored is None or not self._cluster.complete:
            return None
        if (refusal := self._history.refusal) is not None:
            _log.error("bundle is newer than this operator; not writing", extra={"error": str(refusal)})
            return None
        now = self._clock.wall()
        trusts = list(self._cluster.trusts.values().values())
        with metrics.COMPILE_SECONDS.time():
            compiled = compile_bundle(
                trusts,
                self._cluster.sources(),
                self._history.last,
                now,
                checker=self._checker,
                steady=self._history.now(),
                fleet_size=_round_up(self._fleet.size),
                confirmed_serial=stored.confirmed_serial,
                removals_frozen=self._crd.frozen,
                # An operator that starts was installed; one that runs leaves a withdrawal alone.
                resume=not self.ready,
                trust_limit=self._settings.trust_limit,
                verifiers=Verifiers(self._fleet.able()) if self._settings.verification else NOBODY,
                canaries=Canaries(self._fleet.able, self._fleet.reports, self._history.uid, self._history.last.serial),
            )
        metrics.COMPILATIONS.inc()
        if compiled.changed or stored.problem is not None:
            if pause := self._history.pause():
                # Statuses do not wait for the write: what a source said before is not true any longer.
                self._show(compiled, now)
                return pause
            self._history.write(compiled, self._fleet.size)
            self._delays.written(compiled.outcomes, compiled.bundle.serial, self._seen, self._clock.steady())
        self._seen = None
        self._take(compiled, now)
        return min((due for due in (compiled.due, self._crd.thaws_in()) if due is not None), default=None)

    def write_statuses(self) -> None:
        """Write every status that is not as it should be, and remove startup taints."""
        if self._compiled is not None:
            self._statuses.write(self._compiled, self._fleet)
            if self._taints is not None:
                self._taints.look(self._fleet, self._compiled.bundle.serial)
            self.ready = True

    def _take(self, compiled: Compiled, now: float) -> None:
        last, self._history.last = self._history.last, compiled.bundle
        self._statuses.touch(self._fleet.set_newest(compiled.bundle.serial))
        self._show(compiled, now)
        self._announcements.removals_held(compiled)
        self._announcements.history_lost(compiled.bundle, self.crd_uid)
        self._announcements.roots_replaced(last, compiled)
        self._announcements.nearly_full(compiled)
        metrics.REMOVALS_HELD.set(len(compiled.removals.guarded))
        metrics.HISTORY_LOST.set(compiled.bundle.lost_history is not None)

    def _show(self, compiled: Compiled, now: float) -> None:
        """Let the statuses speak of what was compiled, whether or not it is written yet."""
        before = self._compiled.outcomes if self._compiled is not None else {}
        self._compiled = compiled
        changed = {name for name, outcome in compiled.outcomes.items() if before.get(name) != outcome}
        # What a canary says comes from a node: it may flap.
        said = {name for name in changed & before.keys() if _is_only_said(before[name], compiled.outcomes[name])}
        self._statuses.touch_for_nodes(said)
        self._statuses.touch(changed - said)
        self._statuses.touch(self._fleet.set_trusts(_served(compiled.outcomes)))
        self._statuses.touch(self._dated(compiled.outcomes, now))

    def _dated(self, outcomes: Mapping[str, Outcome], now: float) -> set[str]:
        """Return the trusts with a certificate that crossed a date since the last compilation, in either direction."""
        before, self._judged_at, warning = self._judged_at, now, self._settings.expiry_warning
        return {
            name
            for name, outcome in outcomes.items()
            if states(outcome.certificates, before, warning) != states(outcome.certificates, now, warning)
        }

    def _recount(self) -> None:
        nodes = self._cluster.nodes.values()
        reports = {
            name: owned.report
            for name, owned in self._cluster.reports.values().items()
            if name in nodes and nodes[name].uid == owned.node_uid
        }
        try:
            agents = find_agents(self._server, self._settings.namespace, self._settings.agent_name, frozenset(nodes))
        except ApiFailure:
            agents = self._fleet.agents  # What was known stays: the next look is seconds away.
        outcomes = self._compiled.outcomes if self._compiled is not None else {}
        self._fleet.rebuild(nodes.values(), reports, _served(outcomes), agents, self._history.uid)
        self._statuses.touch(set(outcomes))
        self._announcements.know_drift(self._cluster.reports.values())


def _is_only_said(before: Outcome, after: Outcome) -> bool:
    return replace(before, waits=None) == replace(after, waits=None)


def _served(outcomes: Mapping[str, Outcome]) -> list[Served]:
    return [
        Served(outcome.name, outcome.since, outcome.content, frozenset(outcome.verifiers), outcome.candidate)
        for outcome in outcomes.values()
        if outcome.content is not None or outcome.candidate is not None
    ]


def _round_up(size: int) -> int:
    """Round the fleet's size up to a power of two, so that a joining node does not write the bundle."""
    return 1 << (size - 1).bit_length() if size > 1 else size


def _reports(cluster: ClusterMap) -> list[NodeReport]:
    return [owned.report for owned in cluster.reports.values().values()]

"""The reconciler: one pass reads the map, compiles, writes the bundle once, and then the statuses that changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle, encoded_size
from registry_trust.compiler.content import Checker
from registry_trust.compiler.fleet import Fleet, Served
from registry_trust.compiler.handover import take_over
from registry_trust.compiler.lost_history import go_on_after, highest_reported
from registry_trust.compiler.served_certificates import states
from registry_trust.controller import metrics
from registry_trust.controller.agents import find_agents
from registry_trust.controller.announcements import Announcements
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.bundle_secret import BundleSecret, StoredBundle
from registry_trust.controller.cluster import Cluster
from registry_trust.controller.delays import Delays
from registry_trust.controller.events import Events
from registry_trust.controller.settings import OperatorSettings
from registry_trust.controller.statuses import StatusWriter
from registry_trust.controller.steady_clock import SteadyClock
from registry_trust.core.bundle import Bundle
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.names import CRDS, TRUSTS_CRD
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport

_log = logging.getLogger(__name__)

BYTES_PER_SECOND = 200_000_000
"""What a burst of bundle writes may cost the API server: fleet size times bundle size over time."""

LONGEST_PAUSE = 10.0
"""Seconds between two writes of the bundle, at most, however large fleet and bundle are."""

LEAP_PAUSE = 600.0
"""Seconds between two writes that only a report of a later serial asks for: a lying node must not cost more."""

THAW = 60.0
"""Seconds after the CRD is seen whole again (or after a start) before a removal may mature."""


class Reconciler:
    """All of the operator's decisions in one thread: `pass_once` is called again whenever something changed."""

    def __init__(self, server: ApiServer, settings: OperatorSettings, cluster: Cluster) -> None:
        self._server = server
        self._settings = settings
        self._cluster = cluster
        self._secret = BundleSecret(server, settings.namespace, settings.bundle_name)
        events = Events(server)
        self._delays = Delays()
        self._statuses = StatusWriter(server, cluster, events, self._delays, settings.expiry_warning)
        self._announcements = Announcements(events, f"{settings.namespace}/{settings.bundle_name}")
        self._fleet = Fleet()
        self._checker = Checker()
        self._stored: StoredBundle | None = None
        self._last = Bundle()
        self._compiled: Compiled | None = None
        self._next_write = 0.0
        self._next_leap = 0.0
        self._judged_at = 0.0
        self._seen: float | None = None
        self._clock = SteadyClock(time.time())
        self._unfrozen_since: float | None = None
        self.crd_uid = ""
        self.ready = False

    @property
    def problem(self) -> str:
        """Return why the operator is not ready; empty if it is."""
        return "" if self.ready else "no pass over all trusts has ended yet"

    def statuses_pending(self) -> bool:
        """Say whether a status may have to be written."""
        return self._compiled is not None and self._statuses.pending()

    def relist(self) -> bool:
        """LIST everything completely, and count the fleet anew.

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
        changed = self._look_at_crd()
        if self._cluster.look_back(self._server):
            _log.warning("the API server's history was set back, as by a restored etcd; listing everything again")
        version = self._secret.version()
        if self._stored is None or version != self._stored.version:
            changed = self._reload(version) or changed
        changed = self._leap() or changed
        nodes = frozenset(self._cluster.nodes.values())
        agents = find_agents(self._server, self._settings.namespace, self._settings.agent_name, nodes)
        if agents.placement is None and self._fleet.agents.placement is not None:
            _log.error("there is no DaemonSet %s; apply the chart or deploy/ again", self._settings.agent_name)
        self._statuses.touch(self._fleet.set_agents(agents))
        metrics.SERIAL_LAG.set(self._fleet.serial_lag(self._last.serial))
        return changed

    def take_nodes(self, names: set[str]) -> None:
        """Take changed Nodes and reports into the counts: each costs one node."""
        for name in names:
            node = self._cluster.nodes.get(name)
            owned = self._cluster.reports.get(name)
            # A report of a Node that is gone says nothing of the one that has its name now.
            fits = node is not None and owned is not None and owned.node_uid == node.uid
            self._statuses.touch_for_nodes(self._fleet.set_node(name, node))
            report = owned.report if owned is not None and fits else None
            self._statuses.touch_for_nodes(self._fleet.set_report(name, report))
        self._announcements.drift({name: self._cluster.reports.get(name) for name in names}, time.time())

    def compile(self, now: float, seen: float | None = None) -> float | None:
        """Compile, and write the bundle if it changed; return the monotonic time at which to look again, if any.

        Args:
            now: Unix time.
            seen: monotonic time of the first change since the last compilation; None where only time passed.

        Raises:
            ApiFailure: the bundle could not be written; statuses then speak of what is served.
        """
        self._seen = self._seen or seen
        if self._stored is None or not self._cluster.complete:
            return None
        problem = self._stored.problem
        if problem is not None and problem.reason is Reason.UNSUPPORTED_BUNDLE:
            _log.error("bundle is newer than this operator; not writing", extra={"error": str(problem)})
            return None
        steady = self._clock.now()
        trusts = list(self._cluster.trusts.values().values())
        with metrics.COMPILE_SECONDS.time():
            compiled = compile_bundle(
                trusts,
                self._cluster.sources(),
                self._last,
                now,
                checker=self._checker,
                steady=steady,
                fleet_size=_round_up(self._fleet.size),
                confirmed_serial=self._stored.confirmed_serial,
                removals_frozen=self._frozen(),
                # An operator that starts was installed; one that runs leaves a withdrawal alone.
                resume=not self.ready,
                trust_limit=self._settings.trust_limit,
            )
        metrics.COMPILATIONS.inc()
        if compiled.changed or problem is not None:
            if steady < self._next_write:
                # Statuses do not wait for the write: what a source said before is not true any more.
                self._show(compiled, now)
                return time.monotonic() + self._next_write - steady
            self._write(compiled.bundle)
            self._delays.written(compiled.outcomes, compiled.bundle.serial, self._seen, time.monotonic())
        self._seen = None
        self._take(compiled, now)
        matures = time.monotonic() + compiled.due - steady if compiled.due is not None else None
        due = [moment for moment in (matures, self._thaw()) if moment is not None]
        return min(due, default=None)

    def write_statuses(self, now: float) -> None:
        """Write every status that is not as it should be."""
        if self._compiled is not None:
            moment = datetime.fromtimestamp(now, UTC)
            self._statuses.write(self._compiled, self._fleet, moment)
            self.ready = True

    def _write(self, bundle: Bundle) -> None:
        assert self._stored is not None  # noqa: S101 - `compile` returned before otherwise
        size = encoded_size(bundle)
        try:
            self._stored = self._secret.write(bundle, self._stored)
        except ApiFailure as error:
            metrics.BUNDLE_WRITES.labels("failure").inc()
            if error.status in (404, 409):
                self._stored = None  # Somebody else wrote it: read it again before the next compilation.
            raise
        metrics.BUNDLE_WRITES.labels("success").inc()
        metrics.BUNDLE_SERIAL.set(bundle.serial)
        metrics.BUNDLE_BYTES.set(size)
        _log.info("bundle written", extra={"serial": bundle.serial, "bytes": size, "trusts": len(bundle.trusts)})
        self._next_write = self._clock.now() + min(LONGEST_PAUSE, self._fleet.size * size / BYTES_PER_SECOND)

    def _take(self, compiled: Compiled, now: float) -> None:
        self._last = compiled.bundle
        self._statuses.touch(self._fleet.set_newest(compiled.bundle.serial))
        self._show(compiled, now)
        self._announcements.held(compiled, now)
        self._announcements.nearly_full(compiled, now)
        metrics.REMOVALS_HELD.set(len(compiled.removals.guarded))

    def _show(self, compiled: Compiled, now: float) -> None:
        """Let the statuses speak of what was compiled, whether or not it is written yet."""
        before = self._compiled.outcomes if self._compiled is not None else {}
        self._compiled = compiled
        self._statuses.touch({name for name, outcome in compiled.outcomes.items() if before.get(name) != outcome})
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
        uid = self._stored.uid if self._stored is not None else ""
        self._fleet.rebuild(nodes.values(), reports, _served(outcomes), agents, uid)
        self._statuses.touch(set(outcomes))
        self._announcements.know_drift(self._cluster.reports.values())

    def _reload(self, version: str) -> bool:
        """Read the Secret again; what is in memory stays in force where the Secret holds no bundle."""
        if not version:
            if self._stored is not None or not self.ready:
                _log.error(
                    "the bundle Secret does not exist; apply the chart or deploy/ again to create it",
                    extra={"secret": f"{self._settings.namespace}/{self._settings.bundle_name}"},
                )
            self._stored = None
            return False
        before = self._stored
        self._stored = self._secret.read()
        if not self.ready and not self._stored.bundle.trusts and self._unfrozen_since is not None:
            self._unfrozen_since = (
                time.monotonic() - THAW
            )  # The first start of all: there is nothing that could have vanished.
        if self._last.serial == 0:
            # The API server's clock is one for all leaders; without its word, this machine's.
            self._clock = SteadyClock(self._server.date or time.time())
        if self._stored.problem is None and self._stored.bundle.serial >= self._last.serial:
            if not self._stored.bundle.same_content(self._last) or self._stored.bundle.serial != self._last.serial:
                self._last = take_over(self._stored.bundle, self._clock.now())
        elif self._stored.problem is not None:
            _log.warning("the bundle Secret holds no bundle", extra={"error": str(self._stored.problem)})
            self._last = _resumed(self._last, self._cluster, self._stored.uid)
        else:
            # An older bundle under us (a restored etcd): what is in memory is newer, and is written over it.
            self._stored = _as_problem(self._stored)
        if before is None or before.uid != self._stored.uid:
            self._recount()
        return True

    def _leap(self) -> bool:
        """Go on after the serials of a history that was lost (a restored etcd); say whether there is such a thing."""
        if self._stored is None or self._last.serial == 0 or time.monotonic() < self._next_leap:
            return False
        reported = highest_reported(_reports(self._cluster), self._stored.uid, self._last.serial)
        if reported <= self._last.serial:
            return False
        _log.warning(
            "nodes have seen a later bundle than there is, so the cluster's state was set back; going on after it",
            extra={"serial": self._last.serial, "reported": reported},
        )
        self._next_leap = time.monotonic() + LEAP_PAUSE
        self._last = go_on_after(self._last, reported)
        self._stored = _as_problem(self._stored)
        return True

    def _look_at_crd(self) -> bool:
        try:
            body = self._server.get(f"{CRDS}/{TRUSTS_CRD}", metadata_only=True)
        except ApiFailure as error:
            if error.status != 404:
                raise
            body = {"metadata": {"deletionTimestamp": "gone", "uid": ""}}
        metadata: Mapping[str, Any] = body["metadata"]
        if metadata.get("deletionTimestamp"):
            if self._unfrozen_since is not None:
                _log.warning("the RegistryTrust CRD is missing or terminating; no trust is removed")
            self._unfrozen_since = None
            return False
        thawed = self._unfrozen_since is None
        if thawed:
            self._unfrozen_since = time.monotonic()
        self.crd_uid = str(metadata["uid"])
        return thawed

    def _frozen(self) -> bool:
        return self._unfrozen_since is None or time.monotonic() - self._unfrozen_since < THAW

    def _thaw(self) -> float | None:
        """Return the monotonic time from which removals may mature again, if that is still to come and known."""
        return self._unfrozen_since + THAW if self._unfrozen_since is not None and self._frozen() else None


def _served(outcomes: Mapping[str, Outcome]) -> list[Served]:
    return [
        Served(outcome.name, outcome.since, outcome.content)
        for outcome in outcomes.values()
        if outcome.content is not None
    ]


def _round_up(size: int) -> int:
    """Round the fleet's size up to a power of two, so that a joining node does not write the bundle."""
    return 1 << (size - 1).bit_length() if size > 1 else size


def _resumed(last: Bundle, cluster: Cluster, uid: str) -> Bundle:
    """Go on from a serial that no node of this bundle has seen yet, although the Secret was emptied."""
    return replace(last, serial=max(last.serial, highest_reported(_reports(cluster), uid, last.serial)))


def _reports(cluster: Cluster) -> list[NodeReport]:
    return [owned.report for owned in cluster.reports.values().values()]


def _as_problem(stored: StoredBundle) -> StoredBundle:
    message = f"the Secret holds serial {stored.bundle.serial}, an older one"
    return replace(stored, problem=UnusableBundle(Reason.BUNDLE_UNREADABLE, message))

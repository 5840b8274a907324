"""Announcements: what an admin is told once that no two statuses show: held removals, replaced roots, drift."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.compiler.compile import Compiled
from registry_trust.compiler.objects import OwnedReport
from registry_trust.controller import metrics
from registry_trust.controller.events import About, Events
from registry_trust.controller.transitions import NOTE_LIMIT, Event, note_of
from registry_trust.core.bundle import Bundle
from registry_trust.core.names import TRUSTS_CRD
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import confirm_command
from registry_trust.core.text import clip
from registry_trust.core.times import rfc3339

MOST = 10
"""Events of one kind at one time: a fleet in trouble must not become a flood."""


class Announcements:
    """Remembers what was told, so that each is told on its transition alone."""

    def __init__(self, events: Events, bundle: str) -> None:
        """Take the namespace and name of the bundle's Secret as `namespace/name`."""
        self._events = events
        self._namespace, _, self._secret = bundle.partition("/")
        self._guarded: frozenset[str] = frozenset()
        self._lost_since: int | None = None
        self._crowding: frozenset[str] = frozenset()
        self._drift: dict[str, str] = {}

    def removals_held(self, compiled: Compiled) -> None:
        """Tell of each removal that the guard began to hold, and how to confirm or to undo it."""
        guarded = frozenset(compiled.removals.guarded)
        fresh = sorted(guarded - self._guarded)
        self._guarded = guarded
        note = (
            f"{len(guarded)} trusts were deleted within a short time, so their files stay on the nodes a few minutes "
            "longer. To undo it, apply them again. To remove the files now: "
            + confirm_command(self._namespace, self._secret, compiled.bundle.serial)
        )
        for name in fresh[:MOST]:
            trust = compiled.bundle.trust(name)
            about = About("RegistryTrust", name, trust.uid if trust is not None else "")
            event = Event("Warning", Problem(Reason.REMOVAL_HELD, clip(note, NOTE_LIMIT)), "Remove")
            self._events.tell(about, event, compiled.bundle.serial)

    def history_lost(self, bundle: Bundle, crd_uid: str) -> None:
        """Tell, as of the CRD, that nodes lose nothing for a while because the operator's history was lost."""
        lost = bundle.lost_history
        before, self._lost_since = self._lost_since, None if lost is None else lost.since
        if lost is None or lost.since == before:
            return
        note = (
            "the operator's history was lost (was etcd restored from a backup?), so nodes keep what they have of "
            f"every trust until {rfc3339(lost.held_until)}. To remove now what no longer belongs to a trust: "
            + confirm_command(self._namespace, self._secret, lost.since)
        )
        about = About("CustomResourceDefinition", TRUSTS_CRD, crd_uid, "apiextensions.k8s.io/v1")
        event = Event("Warning", Problem(Reason.REMOVAL_HELD, clip(note, NOTE_LIMIT)), "Remove")
        self._events.tell(about, event, bundle.serial)

    def roots_replaced(self, last: Bundle, compiled: Compiled) -> None:
        """Tell of each trust with a source whose CA certificates were all replaced since the last bundle."""
        for about, event in replacements(last, compiled):
            self._events.tell(about, event, compiled.bundle.serial)

    def nearly_full(self, compiled: Compiled) -> None:
        """Tell the largest trusts when the bundle becomes nearly full, once until it no longer is."""
        fresh = () if self._crowding else compiled.crowding
        self._crowding = frozenset(compiled.crowding)
        for name in fresh:
            outcome = compiled.outcomes[name]
            problem = next(found for found in outcome.warnings if found.reason is Reason.BUNDLE_NEARLY_FULL)
            event = Event("Warning", Problem(problem.reason, clip(problem.message, NOTE_LIMIT)), "Compile")
            about = About("RegistryTrust", name, outcome.uid)
            self._events.tell(about, event, compiled.bundle.serial)

    def know_drift(self, reports: Mapping[str, OwnedReport]) -> None:
        """Take what the nodes say of drift as known: after a start or a complete LIST nothing has just happened."""
        self._drift = {name: text for name, owned in reports.items() if (text := _drift(owned))}

    def drift(self, reports: Mapping[str, OwnedReport | None]) -> None:
        """Tell of each node that has repaired more than it had said before; by name, its report as it is now."""
        told = 0
        for name, owned in reports.items():
            text = _drift(owned)
            if text == self._drift.get(name, ""):
                continue
            self._drift.pop(name, None)
            if text and owned is not None:
                self._drift[name] = text
                metrics.DRIFT_REPORTS.inc()
                told += 1
                if told <= MOST:
                    about = About("Node", name, owned.node_uid, "v1")
                    event = Event("Warning", Problem(Reason.DRIFT_REPAIRED, clip(text, NOTE_LIMIT)), "Repair")
                    self._events.tell(about, event, owned.report.serial)


def replacements(last: Bundle, compiled: Compiled) -> list[tuple[About, Event]]:
    """Return an Event for each trust of whose sources one had all its CA certificates replaced since `last`."""
    found = []
    for trust in compiled.bundle.trusts:
        before = last.trust(trust.name)
        fresh = set(trust.roots_replaced) - set(before.roots_replaced if before is not None else ())
        outcome = compiled.outcomes.get(trust.name)
        if not fresh or outcome is None:
            continue
        texts = [warning.message for warning in outcome.warnings if warning.reason is Reason.ROOT_REPLACED]
        if texts:
            event = Event("Warning", Problem(Reason.ROOT_REPLACED, note_of(texts)), "Compile")
            found.append((About("RegistryTrust", trust.name, trust.uid), event))
    return found


def _drift(owned: OwnedReport | None) -> str:
    """Return what a report says of repairs: its steps are 1, 2, 5, 10, 20 and so on."""
    said = owned.report.notices if owned is not None else ()
    return next((notice.message for notice in said if notice.reason is Reason.DRIFT_REPAIRED), "")

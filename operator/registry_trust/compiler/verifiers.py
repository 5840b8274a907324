"""Verifiers: the few nodes that ask a trust's registries whether a pull would work, however large the fleet is."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from registry_trust.compiler.node_standing import FleetNode
from registry_trust.core.bundle import IndexedTrust, TrustState
from registry_trust.core.trust import Trust, Verification

MOST = 3
"""Nodes for each trust: a registry sees that many clients after a change, and one node alone may be an odd one."""


class Verifiers:
    """Chooses among the nodes that are Ready and have a live agent.

    A trust keeps its verifiers while its content stays and one of them is still fit, so that nodes that come and go do
    not write the bundle. New content is asked about by other nodes: in time, every part of a fleet has its turn.
    """

    def __init__(self, nodes: Iterable[FleetNode]) -> None:
        """Take the nodes that can ask."""
        self.enabled = True
        self._nodes = {node.name: node for node in nodes if node.runs_linux}
        self._ring: list[tuple[bytes, str]] = []

    def wanted(self, spec: Trust | None) -> Verification:
        """Return what it means for a trust whether pulls work; nothing where nobody asks."""
        return spec.verification if self.enabled and spec is not None else Verification.OFF

    def assigned(self, trust: IndexedTrust, before: IndexedTrust | None, spec: Trust | None) -> IndexedTrust:
        """Return a trust with its verifiers.

        Args:
            trust: the trust as it is to be served.
            before: as the last bundle has it.
            spec: what an admin wrote; None where it can't be understood, and then nothing changes.
        """
        kept = before.verifiers if before is not None and before.since == trust.since else ()
        if spec is not None:
            if trust.state is not TrustState.ACTIVE or spec.verification is Verification.OFF:
                kept = ()
            elif not any(self._is_fit(name, trust) for name in kept):
                kept = tuple(sorted(self._first(trust)))
        return replace(trust, verifiers=kept) if kept else trust

    def _is_fit(self, name: str, trust: IndexedTrust) -> bool:
        node = self._nodes.get(name)
        return node is not None and trust.content is not None and trust.content.selects(node.labels)

    def _first(self, trust: IndexedTrust) -> Iterator[str]:
        """Yield the first fit nodes on the ring, from the place of the trust's content on."""
        if not self._ring:
            self._ring = sorted((_place(name), name) for name in self._nodes)
        start = bisect.bisect(self._ring, (_place(f"{trust.uid} {trust.since}"), ""))
        found = 0
        for _, name in (*self._ring[start:], *self._ring[:start]):
            if self._is_fit(name, trust):
                yield name
                found += 1
                if found == MOST:
                    return


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


NOBODY = Verifiers(())
NOBODY.enabled = False
"""For clusters in which no node is to ask, and for commands that look at files."""

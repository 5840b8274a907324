"""Verifiers: the few nodes that ask a trust's registries whether a pull would work, however large the fleet is."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable
from dataclasses import replace

from registry_trust.compiler.node_standing import FleetNode
from registry_trust.core.bundle import IndexedTrust, TrustContent, TrustState
from registry_trust.core.selection import Selector
from registry_trust.core.trust import Trust, Verification

MOST = 3
"""Nodes for each trust: a registry sees that many clients after a change, and one node alone may be an odd one."""


class Verifiers:
    """Chooses among the nodes that are Ready and have a live agent.

    A trust keeps its verifiers while its content stays, one of them is still fit and there are no more to be had, so
    nodes that come and go do not write the bundle. New content is asked about by other nodes: in time, every part of a
    fleet has its turn.
    """

    def __init__(self, nodes: Iterable[FleetNode], *, enabled: bool = True) -> None:
        """Take the nodes that can ask; none has to where that is not `enabled`."""
        self._enabled = enabled
        self._nodes = {node.name: node for node in nodes if node.runs_linux}
        self._rings: dict[Selector | None, list[tuple[bytes, str]]] = {}

    def wanted(self, spec: Trust | None) -> Verification:
        """Return what it means for a trust whether pulls work; nothing where nobody asks."""
        return spec.verification if self._enabled and spec is not None else Verification.OFF

    def assigned(self, trust: IndexedTrust, before: IndexedTrust | None, spec: Trust | None) -> IndexedTrust:
        """Return a trust with its verifiers.

        Args:
            trust: the trust as it is to be served.
            before: as the last bundle has it.
            spec: what an admin wrote; None where it can't be understood, and then nothing changes.
        """
        kept = before.verifiers if before is not None and before.since == trust.since else ()
        if spec is not None:
            off = not self._enabled or spec.verification is Verification.OFF
            if trust.candidate is not None:
                kept = () if off else trust.candidate.canaries[:MOST]
            elif trust.state is not TrustState.ACTIVE or trust.content is None or spec.verification is Verification.OFF:
                kept = ()
            elif not self._is_enough(kept, trust.content):
                kept = self._first(trust, trust.content)
        return replace(trust, verifiers=kept) if kept else trust

    def _is_enough(self, kept: tuple[str, ...], content: TrustContent) -> bool:
        fit = any(name in self._nodes and content.selects(self._nodes[name].labels) for name in kept)
        return fit and (len(kept) >= MOST or len(kept) >= len(self._ring(content.selector)))

    def _first(self, trust: IndexedTrust, content: TrustContent) -> tuple[str, ...]:
        """Return the first nodes on the ring, from the place of the trust's content on."""
        ring = self._ring(content.selector)
        start = bisect.bisect(ring, (place_of(f"{trust.uid} {trust.since}"), ""))
        return tuple(sorted(name for _, name in (ring[start:] + ring[:start])[:MOST]))

    def _ring(self, selector: Selector | None) -> list[tuple[bytes, str]]:
        """Return the nodes that a selector selects, each at its place; made once for all trusts that have it."""
        if selector not in self._rings:
            chosen = (n.name for n in self._nodes.values() if selector is None or selector.selects(n.labels))
            self._rings[selector] = sorted((place_of(name), name) for name in chosen)
        return self._rings[selector]


def place_of(name: str) -> bytes:
    """Return the place of a name on the ring of hashes."""
    return hashlib.sha256(name.encode()).digest()


NOBODY = Verifiers((), enabled=False)
"""For clusters in which no node is to ask, and for commands that look at files."""

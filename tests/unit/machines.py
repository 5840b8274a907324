"""What the model of a fleet knows for certain: each node's disk, and each bundle that was written."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry_trust.compiler.objects import OwnedReport


@dataclass
class Machine:
    """One node as it really is: its disk has the files of some content of each trust, by a number of the model's."""

    uid: str
    zone: str
    ready: bool = True
    agent: bool = True
    disk: dict[str, int] = field(default_factory=dict)
    had: set[tuple[str, int]] = field(default_factory=set)
    """Trust and content of everything that this node ever had on disk."""
    said: OwnedReport | None = None
    last: int = 0
    """Version of its last report."""
    unheard: bool = False
    """Its last report has not arrived, was lost, or was deleted."""

    def selects(self, trust: str) -> bool:
        return trust == "everywhere" or self.zone == "a"


@dataclass(frozen=True)
class Written:
    """One bundle that was written: of each trust, since when it has its content, and the model's number of that."""

    uid: str
    serial: int
    since: dict[str, int]
    content: dict[str, int]

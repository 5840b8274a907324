"""A looping agent: the real loop over roots in a folder, on a clock that only the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from registry_trust.agent.delivery.api_client import APIServer
from registry_trust.agent.delivery.inbox import Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.delivery.reporter import Reporter
from registry_trust.agent.health import Health
from registry_trust.agent.loop import Loop
from registry_trust.agent.options import ExplicitTarget, Mount, Options
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.verifier import Verifier
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.layout import Layout
from registry_trust.core.report import NodeReport, RowState, TargetState
from tools.trials.roots import CA_1, MovedClock

HOST = "r{}.example.test"


class Told(Reporter):
    """Keeps the reports that the loop hands in; none is sent."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(APIServer("https://127.0.0.1:1", "", ""), "worker-1", stop, lambda: None)
        self.reports: list[NodeReport] = []

    def submit(self, node_uid: str, report: NodeReport, fleet_size: int) -> bool:
        news = super().submit(node_uid, report, fleet_size)
        if news:
            self.reports.append(report)
        return news


@dataclass
class Agent:
    """A loop over roots in a folder, on a clock that only the test moves."""

    folder: Path
    layouts: tuple[Layout, ...] = (Layout.DOCKER,)
    configurations: tuple[Mount, ...] = ()
    clock: MovedClock = field(default_factory=MovedClock)
    stop: threading.Event = field(default_factory=threading.Event)
    inbox: Inbox = field(default_factory=Inbox)

    def __post_init__(self) -> None:
        self.roots = {layout: self.folder / layout.value for layout in self.layouts}
        for root in self.roots.values():
            root.mkdir(exist_ok=True)
        options = Options(
            node="worker-1",
            namespace="registry-trust",
            roots=tuple(Mount(str(root), str(root)) for root in self.roots.values()),
            targets=tuple(ExplicitTarget(layout, str(root)) for layout, root in self.roots.items()),
            configurations=self.configurations,
        )
        self.health = Health(turned=self.clock())
        self.told = Told(self.stop)
        self.loop = Loop(
            options,
            self.inbox,
            Runtimes(options),
            self.told,
            self.health,
            self.stop,
            verifier=Verifier("", self.inbox.wake, self.stop, monotonic=self.clock),
            monotonic=self.clock,
        )
        self.inbox.put_node(NodeSeen("node-uid", {}))
        if not self.configurations:
            self.inbox.put_runtime("")

    def close(self) -> None:
        """Give back the inotify instance: a user has 128 by default, and a process ends with its descriptors."""
        self.loop._drift.close()

    def hear(self, registries: int, **change: Any) -> None:
        """Receive a bundle with one trust for so many registries."""
        names = tuple(HOST.format(number) for number in range(registries))
        content = TrustContent(registries=names, ca_certificates=(reference_of(CA_1),))
        trust = replace(IndexedTrust("t", "uid-t", 1, TrustState.ACTIVE, content), **change)
        bundle = Bundle(1, (trust,), {reference_of(CA_1): CA_1}, fleet_size=1)
        self.inbox.put_bundle(ReceivedBundle("uid-1", "7", bundle))

    def turn(self) -> None:
        self.clock.now += self.loop.turn()

    @property
    def report(self) -> NodeReport:
        return self.told.reports[-1]

    def is_well(self, registries: int) -> bool:
        """Say whether the last report and the files agree that everything is in place."""
        return (
            bool(self.told.reports)
            and [row.state for row in self.report.registries] == [RowState.CURRENT] * min(registries, 64)
            and {row.state for row in self.report.targets} == {TargetState.READ}
            and all((root / HOST.format(registries - 1)).exists() for root in self.roots.values())
        )


Looping = Callable[..., Agent]
"""Makes an agent of these arguments and closes it after the test."""

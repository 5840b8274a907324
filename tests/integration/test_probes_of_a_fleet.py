"""The handshakes that a registry sees from a fleet of hundreds: a few for each change, and then now and then."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from registry_trust.agent.verifier import FIRST_PAUSE, SPREAD, Inquiry, Verifier, ask
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.verifiers import MOST, Verifiers
from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import desired_state
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.verdict.verdict import State
from tests.integration.counting import Counted, counting
from tests.integration.probing import write
from tools.authority import Authority
from tools.cluster.registry import Registry
from tools.cluster.runs import Run
from tools.messages.cluster import GOOD, compiled, secret

pytestmark = pytest.mark.tools("registry", "loaders")

NODES = [FleetNode(f"node-{number}", f"uid-{number}", {}, ready=True) for number in range(300)]
PROBE = 2
"""Handshakes of one question to a registry that asks for client certificates: one without, and one with."""
HOUR = 3600.0
OTHER, PUBLIC = (Authority.create(name) for name in ("another CA", "a public CA"))


@dataclass
class Fleet:
    """The agents' own verifiers on each node, with a clock for all that only moves to the next question."""

    registry: Registry
    counted: Counted
    folder: Path
    now: float = 0.0
    bundle: Bundle = field(default_factory=Bundle)
    asked: list[tuple[float, str, State]] = field(default_factory=list)
    """When, which node, and what it found."""
    verifiers: dict[str, Verifier] = field(default_factory=dict)

    def __post_init__(self) -> None:
        roots = self.folder / "etc/ssl/certs/ca-certificates.crt"
        roots.parent.mkdir(parents=True)
        roots.write_bytes(PUBLIC.pem)
        (self.folder / "etc/hosts").write_text(f"127.0.0.1 {self.registry.name.partition(':')[0]}\n")
        for number, node in enumerate(NODES):
            chance, ended = random.Random(number).random, threading.Event()  # noqa: S311 - jitter
            view, clock = str(self.folder), lambda: self.now
            self.verifiers[node.name] = Verifier(view, lambda: None, ended, monotonic=clock, rand=chance)

    @property
    def name(self) -> str:
        """The registry as image references name it; its port is the one at which connections are counted."""
        return f"{self.registry.name.partition(':')[0]}:{self.counted.port}"

    def serve(self, authority: Authority) -> None:
        """Let the trust have this CA: a new bundle, and the files on every node."""
        trust = replace(GOOD, registries=(self.name,))
        source = secret("harbor-ca", ca_crt=authority.pem)
        made = compiled((trust,), source, last=self.bundle, verifiers=Verifiers(NODES)).bundle
        self.bundle = decode(encode(made))
        pair = self.registry.client()
        root = self.folder / f"certs.d-{self.bundle.serial}"
        entry = write(root, Layout.DOCKER, self.name, (authority.issued,), ((pair.certificate, pair.key),))
        inquiry = Inquiry(self.name, str(self.bundle.serial), str(entry), Reader.DOCKERD)
        for node in NODES:
            wanted = desired_state(self.bundle, node.labels, node.name).registries[self.name]
            self.verifiers[node.name].want([inquiry] if wanted.verify else [])

    def live(self, seconds: float) -> tuple[Counter[str], int]:
        """Let each node ask whenever it is due; return how often each did meanwhile, and the connections of all."""
        end, first, before = self.now + seconds, len(self.asked), self.counted.connections
        while True:
            due = [(*verifier._next(), name) for name, verifier in self.verifiers.items()]
            inquiry, wait, name = min(due, key=lambda each: each[1])
            if self.now + wait > end:
                self.now = end
                return Counter(node for _, node, _ in self.asked[first:]), self.counted.connections - before
            self.now += wait
            if inquiry is not None:
                verdict = ask(inquiry, self.folder, own_network=True)
                self.asked.append((self.now, name, verdict.state))
                self.verifiers[name]._take(inquiry, verdict)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    run = Run.create()
    try:
        with Registry(run) as started:
            yield started
    finally:
        run.destroy()


@pytest.fixture
def fleet(registry: Registry, tmp_path: Path) -> Iterator[Fleet]:
    with counting(int(registry.dial.rpartition(":")[2])) as counted:
        yield Fleet(registry, counted, tmp_path)


def test_three_of_three_hundred_nodes_ask_after_a_change_and_then_every_six_hours_or_so(fleet: Fleet) -> None:
    fleet.serve(fleet.registry.authority)
    asked, handshakes = fleet.live(SPREAD)

    assert (len(asked), handshakes) == (MOST, MOST * PROBE)
    assert {state for *_, state in fleet.asked} == {State.VERIFIED}

    again, handshakes = fleet.live(24 * HOUR)
    assert again.keys() == asked.keys()
    assert all(3 <= often <= 5 for often in again.values()), "six hours, a fifth more or less"
    assert handshakes == again.total() * PROBE
    moments = sorted(at for at, *_ in fleet.asked[MOST:])
    assert min(later - earlier for earlier, later in pairwise(moments)) > 1.0, "jitter: never all together"


def test_new_content_costs_three_questions_and_ends_those_about_the_old(fleet: Fleet) -> None:
    fleet.serve(fleet.registry.authority)
    before, _ = fleet.live(HOUR)
    for _ in range(4):
        fleet.serve(OTHER)
        fleet.serve(fleet.registry.authority)
        asked, handshakes = fleet.live(SPREAD)
        assert (len(asked), handshakes) == (MOST, MOST * PROBE), "what nobody asked about in time is not asked about"

    later, _ = fleet.live(12 * HOUR)
    assert later.keys() == asked.keys() != before.keys()


def test_a_registry_with_which_pulls_fail_is_asked_less_and_less_often(fleet: Fleet) -> None:
    fleet.serve(OTHER)
    asked, handshakes = fleet.live(24 * HOUR)

    assert {state for *_, state in fleet.asked} == {State.FAILED}
    assert len(asked) == MOST
    assert handshakes == asked.total(), "no client certificate goes to a registry that was not verified"
    assert max(asked.values()) <= 38, "30 seconds, twice that after each, an hour at last, a fifth less"
    one = [at for at, node, _ in fleet.asked if node == min(asked)]
    pauses = [later - earlier for earlier, later in pairwise(one)]
    assert pauses[0] < 1.2 * FIRST_PAUSE
    assert min(pauses[7:]) > 0.79 * HOUR

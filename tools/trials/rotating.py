"""Readers at work: the runtimes' real loaders read in a loop while the store, or a worse writer, rotates the files.

Docker 20.10, 28 and moby's current code, containers-image, containerd 1.7 and 2: one program for each. `make torture`
runs every scenario in full.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Protocol

from registry_trust.agent.store.store import Store
from registry_trust.core.layout import ClientPair, Layout, entry_name
from registry_trust.core.layout import Layout as Written
from tools import pki
from tools.cluster.loaders import GENERATIONS, Expectation, Loaders, Spin, SpinError
from tools.pki import issue
from tools.trials.roots import REGISTRY, Root, wanted

CIRCLE = 24
"""Different contents, which follow each other in a circle."""

REST = 0.001
"""Seconds that each of many loaders rests after a reading: without it they leave two cores no time to write."""

MISMATCH = "private key does not match public key"

Content = tuple[tuple[bytes, ...], tuple[ClientPair, ...]]
"""CA certificates, and client pairs."""


@functools.cache
def authorities_alone() -> tuple[Content, ...]:
    """Two CA certificates each, of one subject, so that a mixture of two generations shows."""
    return tuple(
        (tuple(issue(f"generation {n}", pki.curve_key(1000 + 2 * n + i), ca=True).pem for i in range(2)), ())
        for n in range(CIRCLE)
    )


@functools.cache
def with_pairs(*, same_key: bool) -> tuple[Content, ...]:
    """A CA certificate and a client pair each, of one subject; each pair has a key of its own, or all have one."""
    found: list[Content] = []
    for n in range(CIRCLE):
        authority = issue(f"generation {n}", pki.curve_key(2000 + n), ca=True)
        key = pki.curve_key(3000 if same_key else 3001 + n)
        leaf = issue(f"generation {n}", key, issuer=authority, ca=False, usages=(pki.CLIENT_AUTH,))
        found.append(((authority.pem,), (ClientPair("client", leaf.pem, pki.pkcs8(key)),)))
    return tuple(found)


class Writer(Protocol):
    """Brings one root to a content."""

    def __call__(self, content: Content) -> None: ...


def by_store(path: Path, layout: Layout) -> Writer:
    """Write with the real store; superseded generations stay for a second instead of a minute."""
    root = Root(path, Written(layout.value))
    root.store = Store(str(path), grace=1.0)

    def write(content: Content) -> None:
        authorities, pairs = content
        root.bring_well(wanted(*authorities, pairs=pairs))

    return write


def file_by_file(path: Path, layout: Layout) -> Writer:
    """Write as many tools do: each file whole by rename, one after the other, and now and then the pair is gone."""
    count = 0

    def write(content: Content) -> None:
        nonlocal count
        count += 1
        folder = _folder(path, layout)
        for name, data in _files(content, layout):
            if count % 10 == 0 and name.startswith("client."):
                (folder / name).unlink(missing_ok=True)
            new = folder / f".{name}.new"
            new.write_bytes(data)
            new.rename(folder / name)

    return write


def in_place(path: Path, layout: Layout) -> Writer:
    """Write as a shell's `>` does: over the old bytes, in two halves."""

    def write(content: Content) -> None:
        for name, data in _files(content, layout):
            with (_folder(path, layout) / name).open("wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                file.write(data[len(data) // 2 :])

    return write


def _folder(path: Path, layout: Layout) -> Path:
    folder = path / entry_name(Written(layout.value), REGISTRY)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _files(content: Content, layout: Layout) -> list[tuple[str, bytes]]:
    authorities, pairs = content
    files = [("ca.crt", b"".join(authorities))]
    for pair in pairs:
        files += [("client.cert", pair.certificate), ("client.key", pair.key)]
    if layout is Layout.CONTAINERD and pairs:
        files.append(("hosts.toml", b'ca = ["ca.crt"]\nclient = [["client.cert", "client.key"]]\n\n[host]\n'))
    return files


# ---- scenarios -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RotationScenario:
    """What is rotated for whom, how much of it in full, and whether a transient mismatch of a pair is the promise."""

    name: str
    contents: Callable[[], tuple[Content, ...]]
    layouts: tuple[Layout, ...]
    expect: Expectation
    updates: int
    reads: int
    mismatches: bool = False
    worse: Callable[[Path, Layout], Writer] = file_by_file
    """A writer with which the scenario must fail."""
    pause: float = 0.0
    """Seconds that a loader rests after each reading."""

    @property
    def readers(self) -> tuple[tuple[str, Layout], ...]:
        """Programs and layouts: every generation of every loader that reads one of the scenario's layouts."""
        return tuple((name, one) for name, known in GENERATIONS.items() for one in known if one in self.layouts)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        RotationScenario(
            "CA only",
            authorities_alone,
            tuple(Layout),
            Expectation(2, 0, agree=True),
            5_000,
            500_000,
            worse=in_place,
            pause=REST,
        ),
        RotationScenario(
            "containerd pair",
            lambda: with_pairs(same_key=False),
            (Layout.CONTAINERD,),
            Expectation(1, 1, agree=True),
            3_000,
            500_000,
        ),
        RotationScenario(
            "pair with a new key",
            lambda: with_pairs(same_key=False),
            (Layout.DOCKER, Layout.CONTAINERS),
            Expectation(1, 1),
            3_000,
            500_000,
            mismatches=True,
            pause=REST,
        ),
        RotationScenario(
            "pair with the same key",
            lambda: with_pairs(same_key=True),
            (Layout.DOCKER, Layout.CONTAINERS),
            Expectation(1, 1),
            3_000,
            500_000,
            worse=in_place,
            pause=REST,
        ),
    )
}


@dataclass(frozen=True)
class RotationFigures:
    """What the readers saw."""

    updates: int
    reads: int
    bad: int
    in_a_row: int
    """The most bad readings that one loader had one after the other."""
    errors: tuple[SpinError, ...]
    at_rest: tuple[str, ...]
    """What was wrong when nobody wrote any more."""
    seconds: float

    def broken(self, scenario: RotationScenario) -> list[str]:
        """Return how the scenario's promise was broken; empty where it was kept."""
        found = [f"at rest: {text}" for text in self.at_rest]
        found += [
            f"{error.count} readings: {error.error}"
            for error in self.errors
            if not (scenario.mismatches and MISMATCH in error.error)
        ]
        if self.in_a_row > 1:
            found.append(f"{self.in_a_row} bad readings in a row")
        if self.bad > self.updates * len(scenario.readers):
            found.append(f"{self.bad} bad readings, more than one for each update and loader")
        return found


def rotate(
    scenario: RotationScenario,
    folder: Path,
    *,
    share: float = 1.0,
    writer: Callable[[Path, Layout], Writer] = by_store,
    until_broken: bool = False,
) -> RotationFigures:
    """Let the loaders read while a writer rotates, as often as the scenario says.

    Updates wait for readings, so that both are done at the same time, and every update is followed by some readings.

    Args:
        scenario: what is rotated.
        folder: an empty folder.
        share: of the scenario's updates and readings.
        writer: what makes the writer of one root.
        until_broken: end as soon as the promise is broken, and give up after ten seconds.
    """
    updates, reads = int(scenario.updates * share), int(scenario.reads * share)
    roots = {layout: folder / layout.value for layout in scenario.layouts}
    for root in roots.values():
        root.mkdir()
    writers = [writer(root, layout) for layout, root in roots.items()]
    contents = cycle(scenario.contents())
    for write in writers:
        write(next(contents))
    begun = time.monotonic()
    with ExitStack() as stack:
        # A program for each, so that none waits for the scheduler of the other.
        readers = [
            (stack.enter_context(Loaders(program=name, system_roots=False)), layout)
            for name, layout in scenario.readers
        ]
        spins = [
            program.spin_read(layout, roots[layout], REGISTRY, expect=scenario.expect, pause=scenario.pause)
            for program, layout in readers
        ]
        done = 0
        while done < updates:
            content = next(contents)
            for write in writers:
                write(content)
            done += 1
            _await(spins, done * reads / updates / len(spins))
            if until_broken:
                figures = _figures(done, spins, begun, stop=False)
                if figures.broken(scenario) or figures.seconds > 10:
                    break
        figures = _figures(done, spins, begun, stop=True)
        at_rest = [program.read(layout, roots[layout], REGISTRY) for program, layout in readers]
    wanted_rest = (scenario.expect.cas, scenario.expect.pairs)
    faults = tuple(
        str(one) for one in at_rest if (len(one.ca_subjects), len(one.certificates)) != wanted_rest or not one.ok
    )
    return RotationFigures(**{**vars(figures), "at_rest": faults})


def _await(spins: list[Spin], rounds: float) -> None:
    """Wait until each loader has read so often; they never rest, so this is no sleep but a pace."""
    for spin in spins:
        deadline = time.monotonic() + 60
        while spin.count().rounds < rounds:
            assert time.monotonic() < deadline, "a loader has not read for a minute"
            time.sleep(0.001)


def _figures(updates: int, spins: list[Spin], begun: float, *, stop: bool) -> RotationFigures:
    counts = [spin.stop() if stop else spin.count() for spin in spins]
    return RotationFigures(
        updates=updates,
        reads=sum(count.rounds for count in counts),
        bad=sum(count.failures for count in counts),
        in_a_row=max(count.in_a_row for count in counts),
        errors=tuple(error for count in counts for error in count.errors),
        at_rest=(),
        seconds=time.monotonic() - begun,
    )

"""Pulls through the three real loaders: once with an expectation, or in a loop that counts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry_trust.core.layout import Layout
from tools.cluster.loaders import Loaders, Pull
from tools.cluster.waiting import wait_until

PAUSE = 0.03
"""Seconds between two pulls of a loop: two cores also run the control plane."""

KEY_MISMATCH = "private key does not match public key"
"""What Go's crypto/tls says of a certificate and a key of two pairs.

The docker and containers loaders open client.cert and client.key one after the other. A switch that falls between the
two gives them one file of each pair; no layout of those files can prevent it. containerd reads both by the paths of
one hosts.toml, which names one generation.
"""

READERS = {Layout.DOCKER: "docker", Layout.CONTAINERS: "containers-image", Layout.CONTAINERD: "containerd"}
"""Whose code reads each layout."""


class WrongPullError(AssertionError):
    """A pull that must fail succeeded, or the reverse; the message names it."""


@dataclass(frozen=True)
class Puller:
    """One node's runtime: its loader, reading one root."""

    loaders: Loaders
    layout: Layout
    root: Path
    dial: str

    def pull(self, image: str) -> Pull:
        """Pull once."""
        return self.loaders.pull(self.layout, self.root, image, dial=self.dial)

    def must_succeed(self, image: str) -> Pull:
        """Pull once.

        Raises:
            WrongPullError: it was refused.
        """
        pull = self.pull(image)
        if not pull.ok:
            raise WrongPullError(f"a pull that must succeed failed: {self.layout} layout, {image}: {pull.error}")
        return pull

    def must_fail(self, image: str, words: str) -> Pull:
        """Pull once, in vain.

        Raises:
            WrongPullError: it succeeded, or failed for another cause than `words`, which would prove nothing.
        """
        pull = self.pull(image)
        if pull.ok:
            raise WrongPullError(f"a pull that must fail succeeded: {self.layout} layout, {image}")
        if words not in pull.error:
            raise WrongPullError(
                f"a pull failed, but not as it must: {self.layout} layout, {image}: {pull.error!r} lacks {words!r}"
            )
        return pull


@dataclass
class Count:
    """Pulls of one loop, those that failed, and those that were right at the second try (see KEY_MISMATCH)."""

    layout: Layout
    pulls: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_ms: float = 0


class PullLoop:
    """Pulls one image again and again, in a thread of its own, until it is stopped.

    Only while the client pair changes, and never for containerd, a key mismatch is tried again instead of failing.
    """

    def __init__(self, puller: Puller, image: str, *, pair_changes: bool) -> None:
        self.count = Count(puller.layout)
        self._puller = puller
        self._may_mix = pair_changes and puller.layout is not Layout.CONTAINERD
        self._image = image
        self._stopping = threading.Event()
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"pulls-{puller.layout}", daemon=True)
        self._thread.start()

    def stop(self) -> Count:
        """Return the count when the pull that had begun is finished."""
        self._stopping.set()
        self._thread.join(90)
        self.check()
        return self.count

    def check(self) -> None:
        """Raise what ended the loop before its time, if anything did."""
        if self._ended is not None:
            raise self._ended

    def _run(self) -> None:
        try:
            while not self._stopping.wait(PAUSE):
                self._pull()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._ended = error

    def _pull(self) -> None:
        pull = self._puller.pull(self._image)
        self.count.pulls += 1
        self.count.slowest_ms = max(self.count.slowest_ms, pull.ms)
        if pull.ok:
            return
        if self._may_mix and KEY_MISMATCH in pull.error and self._puller.pull(self._image).ok:
            self.count.retried += 1
            return
        self.count.failures.append(pull.error)


def more_pulls(loops: Sequence[PullLoop], number: int = 5) -> None:
    """Wait until every loop has begun and done so many pulls from now on."""
    # The one that is under way may have read its files before: it counts for nothing.
    goals = [(loop, loop.count.pulls + number + 1) for loop in loops]

    def done() -> bool:
        for loop, _ in goals:
            loop.check()
        return all(loop.count.pulls >= goal for loop, goal in goals)

    wait_until(done, f"{number} more pulls in every layout", within=60, every=0.01)

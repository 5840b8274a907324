"""Carrying: what an entry takes along of the `_default` that it hides, whose certificates it adds, and what it says."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from registry_trust.core.around import Around
from registry_trust.core.carried import Carried, Host, NotCarried
from registry_trust.core.desired import DesiredRegistry
from registry_trust.core.layout import DOCKER_HUB, Carrying, Layout
from registry_trust.core.observed import OwnEntry
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

_HUB_SERVER = "registry-1.docker.io"
"""Where containerd goes for Docker Hub (hosts.go, ConfigureHosts)."""


def carry(
    layout: Layout,
    item: DesiredRegistry,
    around: Around,
    own: OwnEntry | None,
    registries: Mapping[str, DesiredRegistry],
) -> Carrying | None:
    """Return what a registry's entry takes along of the `_default` that it hides; None for nothing.

    What can't be read now is carried as it was read last, by this process or in the entry itself.
    """
    carried = around.offer
    if isinstance(carried, NotCarried):
        carried = carried.last or (own.carried if own is not None else None)
    if carried is None:
        return None

    def material(host: Host) -> DesiredRegistry | None:
        if not host.url:
            return item  # The registry's own server.
        name = registry_of(host, registries) if host.verifies() else ""
        # A root for dockerd has no name for a file that only `hosts.toml` leads to: podman fails on a lone key.
        return registries.get(name) if name == item.registry or layout is Layout.CONTAINERD else None

    given = [material(host) for host in carried.everything()]
    return Carrying(carried, tuple(None if each is None else each.material for each in given))


def registry_of(host: Host, registries: Collection[str]) -> str:
    """Return which of these registries a host is; empty if none. Port 443 may be written or not."""
    address = host.address()
    plain = DOCKER_HUB if address == _HUB_SERVER else address.removesuffix(":443")
    return next((name for name in (address, plain, f"{plain}:443") if name in registries), "")


def obstacle(target_entry: str, around: Around, *, linked: bool) -> Problem | None:
    """Say why an entry can't be written without hiding what the runtime reads; None if it can, or carries it along.

    With `linked` our entry is in place: then nothing is hidden that was not hidden before.
    """
    if not around.hidden or linked or isinstance(around.offer, Carried):
        return None
    if isinstance(around.offer, NotCarried) and around.offer.last is not None:
        return None
    if isinstance(around.offer, NotCarried) and around.offer.soon:
        return Problem(Reason.NODE_PENDING, f"{around.hidden} {around.offer.why}")
    move = f"move it away: mv {around.hidden} {around.hidden}.old"
    if isinstance(around.offer, NotCarried):
        cause = f"and which can't be taken along: {around.offer.why}{around.remark}"
        fix = f"{around.offer.fix}, or {move}"
    else:
        cause = f"and registry-trust did not write{around.remark}"
        fix = f"Put its certificates into the trust and {move}"
    return Problem(
        Reason.WOULD_SHADOW,
        f"writing {target_entry} would hide {around.hidden}, which the runtime reads now {cause}; nothing was written. "
        f"{fix}",
    )


def remark(target_entry: str, around: Around, carrying: Carrying | None) -> Problem | None:
    """Say what an entry that is in place carries along, or why it no longer follows that; None if nothing is hidden."""
    offer = around.offer
    what = "" if carrying is None else carrying.carried.shown()
    if isinstance(offer, NotCarried) and not offer.soon:
        kept = f"goes on with what it said before ({what})" if what else "has nothing of it"
        return Problem(
            Reason.MIRRORS_NOT_FOLLOWED,
            f"{target_entry} hides {around.hidden} and {kept}: {offer.why}{around.remark}. {offer.fix}",
        )
    if carrying is None:
        return None
    return Problem(
        Reason.MIRRORS_CARRIED,
        f"{target_entry} takes along what {around.hidden} says: {what}{around.remark}",
    )

"""Desired state of one node: from the bundle and the node's labels to the material of each registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry_trust.core.bundle import Bundle, IndexedTrust, LostHistory
from registry_trust.core.layout import Carrying, ClientPair, Material
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.trust import ExistingFilesPolicy


@dataclass(frozen=True, slots=True)
class DesiredRegistry:
    """One registry's material on a node, and the names of the trusts that it comes from, in index order.

    With `replace`, another process's files in its place give way: one of the trusts says so. `carrying` is known once a
    root was looked at. With `verify`, this node asks the registry whether a pull would work.
    """

    registry: str
    trusts: tuple[str, ...]
    material: Material = field(repr=False)
    replace: bool = False
    carrying: Carrying | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that a node is to have.

    `unknown` are trusts whose content nobody knows:
    what a node has of them stays. `conflicts` are rows for trusts whose
    client certificate lost its name to an earlier trust. With `withdrawn` nothing of ours is to stay, at once. With
    `lost_history` no trust is to lose files that the node has of it.
    """

    registries: Mapping[str, DesiredRegistry]
    unknown: frozenset[str] = frozenset()
    conflicts: tuple[RegistryRow, ...] = ()
    withdrawn: bool = False
    lost_history: LostHistory | None = None


@dataclass(frozen=True, slots=True)
class _United:
    trusts: tuple[IndexedTrust, ...]
    item: DesiredRegistry
    conflicts: tuple[RegistryRow, ...]


class UnitedTrusts:
    """What came of each registry the last time: the same trusts make the same value again.

    Their content names each PEM by its hash, so nothing else of the bundle matters.
    """

    def __init__(self) -> None:
        self._last: dict[str, _United] = {}
        self._next: dict[str, _United] = {}

    def of(self, registry: str, trusts: list[IndexedTrust], blobs: Mapping[str, bytes], node: str) -> _United:
        """Return what these trusts say of a registry on a node."""
        known = self._last.get(registry)
        if known is None or known.trusts != tuple(trusts):
            material, lost = _unite(registry, trusts, blobs)
            policies = {trust.content.existing_files for trust in trusts if trust.content is not None}
            names = tuple(trust.name for trust in trusts)
            item = DesiredRegistry(
                registry,
                names,
                material,
                replace=ExistingFilesPolicy.REPLACE in policies,
                verify=bool(node) and any(node in trust.verifiers for trust in trusts),
            )
            known = _United(tuple(trusts), item, tuple(lost))
        self._next[registry] = known
        return known

    def end(self) -> None:
        """Forget the registries that were not asked for."""
        self._last, self._next = self._next, {}


def desired_state(
    bundle: Bundle, labels: Mapping[str, str], node: str = "", united: UnitedTrusts | None = None
) -> Desired:
    """Select the trusts of a node and unite what they say of each registry.

    Args:
        bundle: all trusts.
        labels: the node's.
        node: its name; by it the bundle says which registries it asks, and of which trusts it is a canary.
        united: what came of it the last time, on the same node; the result is the same without it.

    Several trusts for one registry add up: CA certificates are united; client pairs are united by name, and where two
    trusts give different content under one name, the earlier one in the index has it.
    """
    if bundle.withdrawn:
        return Desired({}, withdrawn=True)
    trusts_here = [trust.on(node) for trust in bundle.trusts]
    unknown = frozenset(trust.name for trust in trusts_here if trust.content is None and not trust.unserved)
    by_registry: dict[str, list[IndexedTrust]] = {}
    for trust in trusts_here:
        if trust.content is not None and trust.content.selects(labels):
            for registry in trust.content.registries:
                by_registry.setdefault(registry, []).append(trust)
    registries: dict[str, DesiredRegistry] = {}
    conflicts: list[RegistryRow] = []
    united = united or UnitedTrusts()
    for registry, trusts in sorted(by_registry.items()):
        found = united.of(registry, trusts, bundle.blobs, node)
        registries[registry] = found.item
        conflicts.extend(found.conflicts)
    united.end()
    return Desired(registries, unknown, tuple(conflicts), lost_history=bundle.lost_history)


def _unite(registry: str, trusts: list[IndexedTrust], blobs: Mapping[str, bytes]) -> tuple[Material, list[RegistryRow]]:
    authorities: set[str] = set()
    pairs: dict[str, tuple[str, str, str]] = {}
    conflicts: list[RegistryRow] = []
    for trust in trusts:
        if trust.content is None:
            continue
        authorities.update(trust.content.ca_certificates)
        for pair in trust.content.client_certificates:
            certificate, key, owner = pairs.setdefault(pair.name, (pair.certificate, pair.key, trust.name))
            if (certificate, key) != (pair.certificate, pair.key):
                conflicts.append(_lost_name(registry, trust.name, pair.name, owner))
    return (
        Material(
            # By hash, not by trust: the file stays the same when one trust takes over from another.
            ca_certificates=tuple(blobs[reference] for reference in sorted(authorities)),
            client_pairs=tuple(
                ClientPair(name, blobs[certificate], blobs[key]) for name, (certificate, key, _) in pairs.items()
            ),
        ),
        conflicts,
    )


def _lost_name(registry: str, trust: str, name: str, owner: str) -> RegistryRow:
    return RegistryRow(
        registry=registry,
        trust=trust,
        state=RowState.FAILED,
        problem=Problem(
            Reason.CLIENT_CERTIFICATE_CONFLICT,
            f'the client certificate "{name}" of trust {owner}, which is older, is used for {registry}; '
            f"give the one of trust {trust} another name in clientCertificates[].name",
        ),
    )

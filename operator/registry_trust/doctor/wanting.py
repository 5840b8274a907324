"""Wanting: what the trusts ask for on this node for one registry, and why none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry_trust.core import registry as registry_names
from registry_trust.core.bundle import Bundle, IndexedTrust
from registry_trust.core.desired import Desired
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.text import escape, listing
from registry_trust.doctor.cluster import Answers
from registry_trust.doctor.evidence import RegistrySeen


def registry(
    name: str,
    answers: Answers,
    desired: Desired | None,
    roots: Mapping[str, ObservedRoot],
    targets: Sequence[Target],
) -> RegistrySeen:
    """Return what is asked for of a registry: by the bundle, or without one by what the store remembers."""
    if desired is None or answers.bundle is None:
        entries = [own for target in targets if target.path in roots for own in roots[target.path].own.values()]
        trusts = {trust: None for own in entries if own.registry == name and own.digest for trust in own.trusts}
        return RegistrySeen(name, tuple(map(escape, trusts)))
    item = desired.registries.get(name)
    if item is None:
        return RegistrySeen(name, refused="" if desired.withdrawn else _refused(name, answers.bundle))
    return RegistrySeen(
        name,
        tuple(map(escape, item.trusts)),
        len(item.material.ca_certificates),
        len(item.material.client_pairs),
    )


def _refused(name: str, bundle: Bundle) -> str:
    """Say why no trust gives a registry to this node."""
    naming = [trust.name for trust in bundle.trusts if name in _registries(trust)]
    if naming:
        return f"trust {listing(naming)} names it, and its nodeSelector does not select this node"
    alike = {each: trust.name for trust in bundle.trusts for each in _registries(trust) if _host(each) == _host(name)}
    if alike:
        other, trust = min(alike.items())
        return f"no trust names it. Trust {trust} names {escape(other)}, which is another registry to a runtime"
    return "no trust names it"


def _registries(trust: IndexedTrust) -> tuple[str, ...]:
    return () if trust.content is None else trust.content.registries


def _host(name: str) -> str:
    return registry_names.split(name)[0].lower()

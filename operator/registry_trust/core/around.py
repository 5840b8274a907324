"""Around an entry: which directories of others its readers would find before it, or without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.layout import Reader, lookup_names
from registry_trust.core.observed import ObservedRoot, Target


@dataclass(frozen=True, slots=True)
class Around:
    """Another process's directories around an entry of ours, by path; empty where there is none.

    `hiding` is the first that is read before our entry, `hidden` the first that would be read without it, and `offer`
    what a hidden `_default` says. `remark` says that this depends on the reader, which is not known.
    """

    hiding: str = ""
    hidden: str = ""
    offer: Carried | NotCarried | None = None
    remark: str = ""


def look_around(target: Target, registry: str, entry: str, roots: Mapping[str, ObservedRoot]) -> Around:
    """Look as each possible reader would; of several, one that has something to say counts."""
    seen = [_look_as(reader, target, registry, entry, roots) for reader in target.possible_readers()]
    found = next((each for each in seen if each.hiding), None) or next((each for each in seen if each.hidden), seen[0])
    return found if len(set(seen)) == 1 else replace(found, remark=_IF_CONTAINERD_STORE)


def first_found(reader: Reader, registry: str, target: Target, roots: Mapping[str, ObservedRoot]) -> tuple[str, str]:
    """Return where a reader's search for a registry ends: the root's path and the name in it; empty texts for nowhere.

    Roots of the target's chain that are not among `roots` are taken for empty.
    """
    for root in target.lookup_chain():
        observed = roots.get(root, ObservedRoot())
        for name in lookup_names(reader, registry):
            foreign = observed.foreign.get(name)
            if observed.linked(name) or (foreign is not None and foreign.hides):
                return root, name
    return "", ""


_IF_CONTAINERD_STORE = (
    " (if dockerd uses the containerd image store; which store it uses is not known here: a new installation of Docker "
    "29 does, an upgraded one does not)"
)


def _look_as(reader: Reader, target: Target, registry: str, entry: str, roots: Mapping[str, ObservedRoot]) -> Around:
    before = True
    hiding = ""
    for root in target.lookup_chain():
        observed = roots.get(root)
        for name in lookup_names(reader, registry):
            if root == target.path and name == entry:
                before = False
                continue
            if observed is None:
                continue
            if observed.linked(name) and not before:
                return Around(hiding)
            foreign = observed.foreign.get(name)
            if foreign is None or not foreign.hides:
                continue
            if before:
                hiding = hiding or f"{root}/{name}"
            else:
                return Around(hiding, f"{root}/{name}", foreign.offer) if foreign.reads else Around(hiding)
    return Around(hiding)

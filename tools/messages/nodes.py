"""Nodes: what an agent says of registries, removals, bundles and repairs, by its pure decisions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

from registry_trust.agent.delivery.subscriptions import unreadable
from registry_trust.agent.pacing import Repairs
from registry_trust.agent.rollback import PATIENCE, Applied, decide, lost_history
from registry_trust.controller.bundle_secret import stored_bundle
from registry_trust.core.bundle import (
    HIGHEST_SERIAL,
    Bundle,
    ClientPairRef,
    IndexedTrust,
    LostHistory,
    TrustContent,
    TrustState,
    reference_of,
)
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import Desired, DesiredRegistry, desired_state
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.layout import Layout, Material, Reader, content_hash
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry, Target, UnverifiedHost
from registry_trust.core.plan import make_plan
from registry_trust.core.problem import Problem
from registry_trust.core.removal_hold import held_removals, hold_losses
from registry_trust.core.report import RegistryRow
from tools import pki
from tools.messages.cluster import NOW, REGISTRY
from tools.pki import client, root

ROOT = "/etc/containerd/certs.d"
ENTRY = "harbor.corp.example_5000_"
TARGET = Target(ROOT, Layout.CONTAINERD)
MATERIAL = Material((root().pem,))
WANTED = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("harbor",), MATERIAL)})
REPLACING = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("harbor",), MATERIAL, replace=True)})
OURS = OwnEntry(REGISTRY, "g-1", content_hash(Layout.CONTAINERD, REGISTRY, MATERIAL), ("harbor",), intact=True)
THEIRS = ForeignEntry("a directory (with ca.crt, hosts.toml)")
SECRET = "registry-trust", "registry-trust-bundle"
CONTENT = TrustContent((REGISTRY,), (reference_of(root().pem),))
HARBOR = IndexedTrust("harbor", "uid-harbor", 8, TrustState.ACTIVE, CONTENT)
BLOBS = {reference_of(root().pem): root().pem}


def rows(observed: ObservedRoot, desired: Desired = WANTED, target: Target = TARGET) -> tuple[RegistryRow, ...]:
    """Return what a plan says of the registries of a root."""
    return make_plan(target, desired, {target.path: observed}).rows


FOREIGN = rows(ObservedRoot(foreign={ENTRY: THEIRS}))[0]
"""The row of a registry whose place another process's directory has."""


def said() -> Iterator[Problem]:
    """Yield what is said of registries, removals, bundles and repairs."""
    docker = Target("/etc/docker/certs.d", Layout.DOCKER)
    held = Desired({}, frozenset({"harbor"}))
    found = (
        FOREIGN,
        *rows(ObservedRoot(foreign={ENTRY: THEIRS}, kept=frozenset({ENTRY})), REPLACING),
        *rows(ObservedRoot(foreign={"_default": THEIRS})),
        *rows(ObservedRoot(foreign={REGISTRY: THEIRS}), target=replace(TARGET, chain=("/etc/other", ROOT))),
        *rows(ObservedRoot(foreign={"_default": THEIRS}), target=docker),
        *make_plan(
            replace(TARGET, chain=("/etc/first", ROOT)),
            WANTED,
            {ROOT: ObservedRoot(), "/etc/first": ObservedRoot(foreign={ENTRY: THEIRS})},
        ).rows,
        *rows(ObservedRoot(foreign={ENTRY: THEIRS}), REPLACING),
        *rows(ObservedRoot(foreign={"_default": THEIRS}), REPLACING),
        *rows(ObservedRoot(own={ENTRY: OURS}), held),
        *desired_state(_in_conflict(), {}).conflicts,
        *held_removals(Bundle(12, (_gone(),)), {}, *SECRET),
        *hold_losses(
            make_plan(TARGET, Desired({}), {ROOT: ObservedRoot(own={ENTRY: OURS})}),
            ObservedRoot(own={ENTRY: OURS}),
            LostHistory(9, NOW.timestamp()),
            *SECRET,
        ).rows,
    )
    yield from (row.problem for row in found if row.problem is not None)
    yield from _of_mirrors()
    yield from _of_bundles()
    repairs = Repairs()
    for moment in (1.0, 2.0):
        repairs.record((ROOT, ENTRY), moment)
    refused = decide(Applied("uid", 12), "uid", 9, None, 0.0)
    taken = decide(Applied("uid", 12), "uid", 9, 0.0, PATIENCE)
    yield from (problem for problem in (repairs.notice(), refused.notice, taken.notice) if problem is not None)
    yield lost_history(Applied("uid", 12), 14)


def _gone() -> IndexedTrust:
    return replace(HARBOR, state=TrustState.REMOVED, removed_at=NOW.timestamp(), held_until=NOW.timestamp() + 600)


def _in_conflict() -> Bundle:
    certificates = [reference_of(client(number).pem) for number in (0, 1)]
    keys = [reference_of(pki.pkcs8(client(number).key)) for number in (0, 1)]
    trusts = tuple(
        replace(HARBOR, name=name, content=replace(CONTENT, client_certificates=(ClientPairRef("client", *pair),)))
        for name, pair in zip(("harbor", "later"), zip(certificates, keys, strict=True), strict=True)
    )
    blobs = {reference_of(pem): pem for n in (0, 1) for pem in (client(n).pem, pki.pkcs8(client(n).key))}
    return Bundle(9, trusts, {**BLOBS, **blobs})


def _of_mirrors() -> Iterator[Problem]:
    for place in ('[host."https://harbor.corp.example:5000"]', ""):
        mirror = replace(THEIRS, unverified=(UnverifiedHost(REGISTRY, place),))
        observed = ObservedRoot({ENTRY: OURS}, {"docker.io": mirror})
        target = replace(TARGET, readers=(Reader.CONTAINERD,))
        yield from mirror_notices(target, WANTED, {ROOT: observed})


def _of_bundles() -> Iterator[Problem]:
    good = encode(Bundle(9, (HARBOR,), BLOBS))
    index = json.loads(good["index.json"])
    reference = reference_of(root().pem)
    key = reference_of(b"no key")
    pair = ClientPairRef("client", reference, key)
    with_pair = replace(HARBOR, content=replace(CONTENT, client_certificates=(pair,)))
    no_pem = reference_of(b"no PEM")
    for data in (
        {},
        {"index.json": b"["},
        {"index.json": json.dumps({**index, "minReader": 3}).encode()},
        {**good, reference: b"altered"},
        encode(Bundle(9, (replace(HARBOR, content=replace(CONTENT, ca_certificates=(no_pem,))),), {no_pem: b"no PEM"})),
        encode(Bundle(9, (with_pair,), {**BLOBS, key: b"no key"})),
    ):
        try:
            decode(data)
        except UnusableBundle as error:
            yield error.problem
    yield unreadable(ValueError())
    metadata = {"uid": "uid", "resourceVersion": "1"}
    for secret in ({"data": {"index.json": "?"}}, {"data": _encoded(Bundle(HIGHEST_SERIAL + 1))}):
        if (problem := stored_bundle({"metadata": metadata, **secret}).problem) is not None:
            yield problem


def _encoded(bundle: Bundle) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in encode(bundle).items()}

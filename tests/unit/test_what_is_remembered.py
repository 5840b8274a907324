"""What is remembered from one bundle, selection or plan to the next changes no result; it only saves work."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from registry_trust.core.bundle import (
    Bundle,
    ClientPairRef,
    IndexedTrust,
    TrustContent,
    TrustState,
    reference_of,
)
from registry_trust.core.bundle_format import Decoded, decode, encode
from registry_trust.core.carried import NotCarried
from registry_trust.core.desired import Desired, DesiredRegistry, UnitedTrusts, desired_state
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.layout import DEFAULT, Layout, Material, content_hash, entry_name
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import SettledRows, make_plan
from registry_trust.core.selection import Selector
from registry_trust.core.trust import ExistingFilesPolicy


def pem(label: str, number: int) -> bytes:
    """Return a block around an ASN.1 SEQUENCE of one byte."""
    encoded = base64.b64encode(bytes([0x30, 1, number])).decode()
    return f"-----BEGIN {label}-----\n{encoded}\n-----END {label}-----\n".encode()


CAS = [pem("CERTIFICATE", number) for number in range(4)]
KEYS = [pem("PRIVATE KEY", number) for number in range(2)]
BLOBS = {reference_of(blob): blob for blob in (*CAS, *KEYS)}
CA, KEY = [reference_of(blob) for blob in CAS], [reference_of(blob) for blob in KEYS]
REGISTRIES = ["a.example", "b.example:5000", "c.example"]


def any_trust(chance: random.Random, name: str) -> IndexedTrust:
    content = TrustContent(
        registries=tuple(chance.sample(REGISTRIES, chance.randint(1, 2))),
        ca_certificates=tuple(chance.sample(CA, chance.randint(1, 2))),
        client_certificates=(ClientPairRef("client", CA[0], chance.choice(KEY)),) if chance.random() < 0.3 else (),
        selector=Selector((("pool", "gpu"),)) if chance.random() < 0.2 else None,
        existing_files=chance.choice(list(ExistingFilesPolicy)),
    )
    held = chance.random() < 0.1
    return IndexedTrust(
        name, f"uid-{name}", 1, TrustState.HELD if held else TrustState.ACTIVE, None if held else content
    )


def bundles(chance: random.Random, count: int) -> list[Bundle]:
    """Return one bundle after another, of which each has one trust added, gone, changed or moved."""
    trusts: list[IndexedTrust] = []
    made = []
    for serial in range(1, count):
        trusts = [trust for trust in trusts if chance.random() < 0.9]
        names = [f"t{number}" for number in range(6)]
        name = chance.choice(names)
        kept = [trust for trust in trusts if trust.name != name]
        trusts = [*kept, any_trust(chance, name)]
        if chance.random() < 0.2:
            chance.shuffle(trusts)
        used = {each for trust in trusts if trust.content is not None for each in trust.content.references()}
        blobs = {reference: BLOBS[reference] for reference in sorted(used)}
        made.append(Bundle(serial, tuple(trusts), blobs, fleet_size=serial))
    return made


@pytest.mark.parametrize("seed", range(20))
def test_a_bundle_means_the_same_whatever_the_last_one_was(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be played again
    last, united = Decoded(), UnitedTrusts()
    for bundle in bundles(chance, 30):
        data = encode(bundle)
        labels = chance.choice([{}, {"pool": "gpu"}])

        assert decode(data, last) == decode(data) == bundle
        assert desired_state(bundle, labels, "n", united) == desired_state(bundle, labels, "n")


def of_two_trusts() -> dict[str, bytes]:
    pair = ClientPairRef("c", CA[0], KEY[0])
    content = TrustContent(("a.example",), (CA[0],)), TrustContent(("b.example",), (CA[1],), (pair,))
    trusts = [IndexedTrust(f"t{n}", f"uid-{n}", 1, TrustState.ACTIVE, each) for n, each in enumerate(content)]
    return encode(Bundle(7, tuple(trusts), {each: BLOBS[each] for each in (CA[0], CA[1], KEY[0])}))


def index(data: dict[str, bytes]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data["index.json"])
    return document


def with_index(data: dict[str, bytes], document: dict[str, Any]) -> dict[str, bytes]:
    return {**data, "index.json": json.dumps(document).encode()}


def same_name_twice(data: dict[str, bytes]) -> dict[str, bytes]:
    document = index(data)
    return with_index(data, {**document, "trusts": [*document["trusts"], document["trusts"][0]]})


def a_number_that_is_none(data: dict[str, bytes], since: object) -> dict[str, bytes]:
    document = index(data)
    document["trusts"][0]["since"] = since
    return with_index(data, document)


WRONG = {
    "other bytes under the name of a blob": lambda data: {**data, CA[1]: CAS[2]},
    "a blob that is gone": lambda data: {key: value for key, value in data.items() if key != CA[1]},
    "the same trust twice": same_name_twice,
    "1.0 for 1": lambda data: a_number_that_is_none(data, 1.0),
    "true for 1": lambda data: a_number_that_is_none(data, since=True),
    "a trust from the future": lambda data: with_index(data, {**index(data), "serial": 0}),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_bundle_is_as_wrong_after_a_right_one_as_alone(wrong: Any) -> None:
    last, right = Decoded(), of_two_trusts()
    expected = decode(right, last)

    for _ in range(2):
        with pytest.raises(UnusableBundle):
            decode(wrong(right))
        with pytest.raises(UnusableBundle):
            decode(wrong(right), last)

    assert decode(right, last) == expected


ROOT, OTHER = "/etc/root", "/etc/other"
FOREIGN = [
    ForeignEntry("a directory (with ca.crt)"),
    ForeignEntry("an empty directory", reads=False),
    ForeignEntry("a file", reads=False),
    ForeignEntry("a link", reads=False, hides=False),
]


def any_own(chance: random.Random, layout: Layout, item: DesiredRegistry) -> OwnEntry:
    digest = content_hash(layout, item.registry, item.material) if chance.random() < 0.8 else "f" * 16
    linked = chance.random() < 0.9
    trusts = item.trusts if chance.random() < 0.8 else ("other",)
    return OwnEntry(item.registry, f"{digest}-1" if linked else "", digest, trusts, intact=chance.random() < 0.9)


def any_root(
    chance: random.Random, layout: Layout, items: dict[str, DesiredRegistry], before: ObservedRoot
) -> ObservedRoot:
    names = [entry_name(layout, registry) for registry in items]
    own = dict(before.own)
    for registry, item in items.items():
        if chance.random() < 0.2:
            own[entry_name(layout, registry)] = any_own(chance, layout, item)
    if own and chance.random() < 0.1:
        del own[chance.choice(list(own))]
    foreign = dict(before.foreign)
    if chance.random() < 0.3:
        name = chance.choice([*names, DEFAULT, *REGISTRIES])
        offer = NotCarried("no reason", "Nothing") if name == DEFAULT else None
        foreign = {} if chance.random() < 0.5 else {name: replace(chance.choice(FOREIGN), offer=offer)}
    kept = frozenset(chance.sample(names, 1)) if chance.random() < 0.1 else frozenset()
    unreadable = {chance.choice(names): "EIO"} if chance.random() < 0.1 else {}
    return ObservedRoot(own, foreign, unreadable, kept)


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_is_the_same_whatever_the_last_one_was(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be played again
    layout = chance.choice(list(Layout))
    target = Target(ROOT, layout, chain=(ROOT, OTHER))
    settled = SettledRows()
    items = {name: DesiredRegistry(name, ("a",), Material((CAS[0],))) for name in REGISTRIES}
    roots = {ROOT: ObservedRoot(), OTHER: ObservedRoot()}
    found = 0
    for _ in range(60):
        name = chance.choice(REGISTRIES)
        if chance.random() < 0.2:
            items = {**items, name: DesiredRegistry(name, ("a",), Material((chance.choice(CAS),)))}
        roots = {
            path: any_root(chance, layout, items, root) if chance.random() < 0.5 else root
            for path, root in roots.items()
        }
        wanted = {name: item for name, item in items.items() if chance.random() < 0.95}
        desired = Desired(wanted, frozenset({"other"}) if chance.random() < 0.2 else frozenset())
        settled.begin(target, desired, roots)
        found += sum(settled.row(item, roots[ROOT]) is not None for item in wanted.values())

        assert make_plan(target, desired, roots, settled) == make_plan(target, desired, roots)
    assert found, "nothing was ever remembered, so nothing is shown"

"""Which certificate of a chain that a server shows could be trusted, and what is said of the others."""

from __future__ import annotations

import pytest

from registry_trust.certificates.shown_chain import best, read_chain
from registry_trust.core.errors import UnusableMaterial
from tools.pki import Issued, curve_key, issue

ROOT = issue("root", curve_key(1), ca=True, signs=True)
MIDDLE = issue("middle", curve_key(2), issuer=ROOT, ca=True, signs=True)
LOW = issue("low", curve_key(3), issuer=MIDDLE, ca=True, signs=True)
LEAF = issue("harbor", curve_key(4), issuer=LOW, ca=False, names=("harbor.example",))
OF_ROOT = issue("harbor", curve_key(4), issuer=ROOT, ca=False, names=("harbor.example",))
ALONE = issue("harbor", curve_key(4), ca=False, names=("harbor.example",))
SELF_CA = issue("harbor", curve_key(4), ca=True, names=("harbor.example",))
NAMESAKE = issue("root", curve_key(9), ca=True, signs=True)


def judged(*chain: Issued) -> tuple[list[str], int | None]:
    """Return the role of each certificate, and which one is the best to trust."""
    shown = read_chain([each.der for each in chain], "harbor.example")
    chosen = best(shown)
    return [each.role.name for each in shown], None if chosen is None else shown.index(chosen)


@pytest.mark.parametrize(
    ("chain", "roles", "chosen"),
    [
        ([LEAF, LOW, MIDDLE, ROOT], ["OWN", "INTERMEDIATE", "INTERMEDIATE", "ROOT"], 3),
        ([LEAF, LOW, MIDDLE], ["OWN", "INTERMEDIATE", "INTERMEDIATE"], 2),
        ([LEAF, LOW], ["OWN", "INTERMEDIATE"], 1),
        ([LEAF], ["OWN"], None),
        ([OF_ROOT, ROOT], ["OWN", "ROOT"], 1),
        ([ALONE], ["SELF_SIGNED"], 0),
        ([SELF_CA], ["SELF_SIGNED"], 0),
        ([LEAF, ROOT, LOW, MIDDLE], ["OWN", "ROOT", "INTERMEDIATE", "INTERMEDIATE"], 1),
        ([LEAF, ROOT], ["OWN", "UNRELATED"], None),
        ([OF_ROOT, NAMESAKE], ["OWN", "UNRELATED"], None),
        ([ALONE, ROOT], ["SELF_SIGNED", "UNRELATED"], 0),
        ([OF_ROOT, ROOT, ROOT], ["OWN", "ROOT", "UNRELATED"], 1),
    ],
)
def test_the_highest_issuer_whose_signature_leads_to_the_server_is_the_one(chain, roles, chosen):
    assert judged(*chain) == (roles, chosen)


def test_a_certificate_that_is_no_ca_vouches_for_nothing_although_its_key_signed():
    fake = issue("fake", curve_key(5), issuer=ROOT, ca=False)
    leaf = issue("harbor", curve_key(4), issuer=fake, ca=False)

    assert judged(leaf, fake) == (["OWN", "UNRELATED"], None)


def test_what_is_no_certificate_is_refused_with_its_place():
    with pytest.raises(UnusableMaterial) as caught:
        read_chain([LEAF.der, b"\x30\x03\x02\x01\x00"], "harbor.example")

    assert "harbor.example: certificate 2 of 2" in caught.value.problem.message

"""What of a bundle is no usable CA is left out where another one remains, and refused where none does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import MESSAGE_LIMIT
from tests.unit.ca_tables import attempt, check_accepted, each
from tools import der, pki
from tools.der import armour, handmade
from tools.messages import ca_left_out
from tools.messages.material import read_roots
from tools.pki import root


def der_of(key) -> bytes:
    return key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


LEFT = ". It is left out, and the others are used; remove it from the source"


@each(ca_left_out.ACCEPTED)
def test_left_out(case):
    check_accepted(case)


def test_of_many_the_first_three_are_named_and_the_warning_fits_a_message():
    hostile = armour(handmade(serial=b"\xff", subject=der.distinguished("\u202e".encode() * 40)))
    found = read_roots(root().pem + hostile * 299)

    (warning,) = found.warnings
    assert found.left_out == 299
    assert len(warning.message) < MESSAGE_LIMIT
    assert "certificate 4 of 300" in warning.message
    assert "certificate 5 of 300" not in warning.message
    assert warning.message.endswith(
        " and 296 more. These 299 are left out, and the others are used; remove them from the source"
    )


def test_where_nothing_usable_remains_the_source_is_refused_with_the_cure():
    error = attempt(armour(b"rubbish") + armour(handmade(serial=b"\xff")))

    assert isinstance(error, UnusableMaterial)
    assert error.problem.reason == Reason.CERTIFICATE_PARSE
    assert "certificate 1 of 2, line 1: " in error.problem.message
    assert "copy it again" in error.problem.message


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (lambda: pki.pkcs8(pki.client().key), Reason.PRIVATE_KEY_IN_CA),
        (lambda: root(1).pem[:-30], Reason.INVALID_PEM),
        (lambda: armour(bytes(27_001)), Reason.TOO_LARGE),
        (lambda: pki.pkcs8(pki.client().key).replace(b"PRIVATE KEY", b"CERTIFICATE"), Reason.PRIVATE_KEY_IN_CA),
        (lambda: armour(b"\x30\x82\xff\xff" + der_of(pki.client().key)[3:60]), Reason.PRIVATE_KEY_IN_CA),
        (lambda: armour(pki.spki(root().key)), Reason.INVALID_PEM),
    ],
    ids=[
        "a private key",
        "broken armour",
        "a certificate over the limit",
        "a private key between CERTIFICATE lines",
        "a piece of a private key between CERTIFICATE lines",
        "a public key between CERTIFICATE lines",
    ],
)
def test_beside_a_usable_certificate_these_stay_refusals(block, reason):
    error = attempt(root().pem + block())

    assert isinstance(error, UnusableMaterial)
    assert error.problem.reason == reason

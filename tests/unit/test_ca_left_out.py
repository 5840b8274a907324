"""What of a bundle is no usable CA is left out where another one remains, and refused where none does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import MESSAGE_LIMIT
from tests.unit.ca_tables import accepted, attempt, check_accepted, read
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.pki import issue, root

UNKNOWN = extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True)


TWICE = extension("2.5.29.18", b"\x05\x00")


def der_of(key) -> bytes:
    return key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def other_key(algorithm: str) -> bytes:
    return der.sequence(der.sequence(der.oid(algorithm)), der.tlv(3, b"\x00", b"\x02\x01\x05"))


LEFT = ". It is left out, and the others are used; remove it from the source"


@pytest.mark.parametrize(
    ("data", "count", "warnings"),
    [
        accepted(
            "row 68: a root with a negative serial number among others is left out with a warning",
            lambda: root().pem + armour(handmade(serial=b"\xff")) + root(1).pem,
            2,
            (
                Reason.CERTIFICATE_PARSE,
                'certificate 2 of 3, line 10: "CN=Hand Made" can\'t be read as a certificate: the serial number is '
                "negative" + LEFT,
            ),
        ),
        accepted(
            "row 61: rubbish inside one of two blocks is left out with a warning",
            lambda: root().pem + armour(b"rubbish"),
            1,
            (
                Reason.CERTIFICATE_PARSE,
                "certificate 2 of 2, line 10: can't be read as a certificate: the certificate has another type than "
                "expected" + LEFT,
            ),
        ),
        accepted(
            "row 61: what only the library can't read is left out with a warning that says so",
            lambda: root().pem + armour(handmade(extensions=(der.IS_CA, extension("2.5.29.16", b"\x05\x00"), TWICE))),
            1,
            (
                Reason.CERTIFICATE_PARSE,
                "certificate 2 of 2, line 10: \"CN=Hand Made\" can't be read as a certificate: Python's cryptography "
                "library can't parse it" + LEFT,
            ),
        ),
        accepted(
            "row 72: a root with a key of DSA among others is left out with a warning",
            lambda: armour(handmade(key=other_key("1.2.840.10040.4.1"))) + root().pem,
            1,
            (
                Reason.UNSUPPORTED_ALGORITHM,
                'certificate 1 of 2, line 1: "CN=Hand Made" has a key of DSA, which Go, and so every runtime, can\'t '
                "verify with" + LEFT,
            ),
        ),
        accepted(
            "row 80: a root with an unknown critical extension among others is left out with a warning",
            lambda: root().pem + armour(handmade(extensions=(der.IS_CA, UNKNOWN))),
            1,
            (
                Reason.UNSUPPORTED_EXTENSION,
                'certificate 2 of 2, line 10: "CN=Hand Made" has a critical extension that runtimes don\'t know or '
                "don't all honour (1.3.6.1.4.1.99999.1), so they refuse every chain through it" + LEFT,
            ),
        ),
        accepted(
            "row 77: a certificate that can vouch for nothing is left out with a warning",
            lambda: root().pem + issue("Bare", pki.curve_key(9)).pem,
            1,
            (
                Reason.NOT_CA,
                'certificate 2 of 2, line 10: "CN=Bare" is not a CA certificate (issued by itself, it lacks the mark '
                "CA:TRUE), and as the registry's own certificate runtimes refuse it, since it has no subjectAltName"
                + LEFT,
            ),
        ),
    ],
)
def test_left_out(data, count, warnings):
    check_accepted(data(), count, warnings)


def test_of_many_the_first_three_are_named_and_the_warning_fits_a_message():
    hostile = armour(handmade(serial=b"\xff", subject=der.distinguished("\u202e".encode() * 40)))
    found = read(root().pem + hostile * 299)

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

"""What is left out of a source because it is not a usable CA certificate, while others are used."""

from __future__ import annotations

from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.messages.cases import Table, accepted
from tools.pki import issue, root

UNKNOWN = extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True)

TWICE = extension("2.5.29.18", b"\x05\x00")


def other_key(algorithm: str) -> bytes:
    return der.sequence(der.sequence(der.oid(algorithm)), der.tlv(3, b"\x00", b"\x02\x01\x05"))


ACCEPTED: Table = (
    accepted(
        "a root with a negative serial number among others is left out with a warning",
        lambda: root().pem + armour(handmade(serial=b"\xff")) + root(1).pem,
        Reason.CERTIFICATE_PARSE,
        count=2,
    ),
    accepted(
        "rubbish inside one of two blocks is left out with a warning",
        lambda: root().pem + armour(b"rubbish"),
        Reason.CERTIFICATE_PARSE,
    ),
    accepted(
        "what only the library can't read is left out with a warning that says so",
        lambda: root().pem + armour(handmade(extensions=(der.IS_CA, extension("2.5.29.16", b"\x05\x00"), TWICE))),
        Reason.CERTIFICATE_PARSE,
    ),
    accepted(
        "a root with a key of DSA among others is left out with a warning",
        lambda: armour(handmade(key=other_key("1.2.840.10040.4.1"))) + root().pem,
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    accepted(
        "a root with an unknown critical extension among others is left out with a warning",
        lambda: root().pem + armour(handmade(extensions=(der.IS_CA, UNKNOWN))),
        Reason.UNSUPPORTED_EXTENSION,
    ),
    accepted(
        "a certificate that can vouch for nothing is left out with a warning",
        lambda: root().pem + issue("Bare", pki.curve_key(9)).pem,
        Reason.NOT_CA,
    ),
)

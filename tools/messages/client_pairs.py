"""Client certificates with their keys."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.der import armour
from tools.messages.cases import Table, accepted, refused
from tools.messages.material import own_key, pair_of, with_key
from tools.pki import Issued, client, issue, root


def dockers_page() -> Issued:
    """As `openssl req -new -x509 -text -key client.key -out client.cert` makes it."""
    return issue("client", pki.curve_key(45), ca=True)


def issuing() -> Issued:
    """As cert-manager makes the Secret of a CA issuer: issued, CA:TRUE, keyCertSign."""
    return issue("Issuing", pki.curve_key(46), issuer=root(), ca=True, signs=True)


def server_leaf() -> tuple[bytes, bytes]:
    return pair_of(pki.curve_key(40), ca=False, usages=(pki.SERVER_AUTH,))


REFUSED: Table = (
    refused(
        "the key of another certificate is refused",
        lambda: with_key(pki.pkcs8(client(1).key)),
        Reason.KEY_MISMATCH,
    ),
    refused(
        "the pair of a CA that issues certificates is refused",
        lambda: (issuing().pem + root().pem, pki.pkcs8(issuing().key)),
        Reason.KEY_USAGE,
    ),
    refused("the pair of a server is refused", server_leaf, Reason.KEY_USAGE),
    refused(
        "a chain whose leaf is not first is refused",
        lambda: (root().pem + root(1).pem + client().pem, own_key()),
        Reason.KEY_MISMATCH,
    ),
    refused("key and certificate exchanged are refused", lambda: (own_key(), client().pem), Reason.SWAPPED),
    refused("a certificate in both places is refused", lambda: with_key(client().pem), Reason.SWAPPED),
    refused("a key in both places is refused", lambda: (own_key(), own_key()), Reason.SWAPPED),
    refused(
        "a key among the certificates is refused",
        lambda: (client().pem + own_key(), own_key()),
        Reason.KEY_AMBIGUOUS,
    ),
    refused("a CA certificate without a key is refused", lambda: (root().pem, b""), Reason.PAIR_INCOMPLETE),
    refused("a certificate without a key is refused", lambda: (client().pem, b"\n"), Reason.PAIR_INCOMPLETE),
    refused("a key without a certificate is refused", lambda: (b"", own_key()), Reason.PAIR_INCOMPLETE),
    refused("neither is refused", lambda: (b"", b""), Reason.EMPTY_DATA),
    refused(
        "a request as the certificate is refused",
        lambda: (armour(b"\x30\x00", "CERTIFICATE REQUEST"), own_key()),
        Reason.INVALID_PEM,
    ),
    refused(
        "bytes after the certificate are refused",
        lambda: (armour(client().der + b"\0"), own_key()),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a certificate with RSA of 16384 bits is refused",
        lambda: (armour(der.handmade(key=der.rsa_spki(16384))), own_key()),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused("a certificate of 36,501 bytes is refused unread", lambda: (b"A" * 36_501, own_key()), Reason.TOO_LARGE),
)

ACCEPTED: Table = (
    accepted("PKCS#8 on P-256 is accepted", lambda: (client().pem, own_key())),
    accepted("SEC1 is accepted", lambda: with_key(pki.traditional(client().key))),
    accepted(
        "EC PARAMETERS before the key are accepted",
        lambda: with_key(armour(der.oid("1.2.840.10045.3.1.7"), "EC PARAMETERS") + pki.traditional(client().key)),
    ),
    accepted("PKCS#8 labelled EC is accepted", lambda: with_key(own_key().replace(b"PRIV", b"EC PRIV"))),
    accepted(
        "SEC1 labelled as PKCS#8 is accepted",
        lambda: with_key(pki.traditional(client().key).replace(b"EC PRIV", b"PRIV")),
    ),
    accepted("PKCS#8 of RSA is accepted", lambda: pair_of(pki.rsa_key())),
    accepted("PKCS#1 is accepted", lambda: (pair_of(pki.rsa_key())[0], pki.traditional(pki.rsa_key()))),
    accepted("Ed25519 is accepted", lambda: pair_of(pki.ed25519_key(3))),
    accepted("P-384 is accepted", lambda: pair_of(pki.curve_key(3, ec.SECP384R1()))),
    accepted("P-521 is accepted", lambda: pair_of(pki.curve_key(3, ec.SECP521R1()))),
    accepted("text around the key is left out", lambda: with_key(b"Bag Attributes\n    localKeyID: 01\n" + own_key())),
    accepted("CRLF is accepted", lambda: (client().pem.replace(b"\n", b"\r\n"), own_key().replace(b"\n", b"\r\n"))),
    accepted("a chain with the leaf first is accepted", lambda: (client().pem + root().pem, own_key())),
    accepted("RSA of 1024 bits is accepted with a warning", lambda: pair_of(pki.rsa_key(1024)), Reason.WEAK_KEY),
    accepted(
        "a certificate for another use is accepted with a warning",
        lambda: pair_of(pki.curve_key(40), ca=False, usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)),
        Reason.KEY_USAGE,
    ),
    accepted(
        "an expired certificate is accepted with a warning",
        lambda: pair_of(pki.curve_key(41), not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR),
        Reason.EXPIRED,
    ),
    accepted(
        "a certificate that is not valid yet is accepted with a warning",
        lambda: pair_of(pki.curve_key(41), not_before=pki.NOW + timedelta(hours=1)),
        Reason.NOT_YET_VALID,
    ),
    accepted(
        "the self-signed certificate of Docker's page (CA:TRUE, no key usage) is accepted with a warning",
        lambda: (dockers_page().pem, pki.pkcs8(dockers_page().key)),
        Reason.KEY_USAGE,
    ),
)

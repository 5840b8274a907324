"""Private keys of pairs, in every form."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, x25519

from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.der import armour
from tools.messages.cases import Table, refused
from tools.messages.material import own_key, pair_of, with_key
from tools.pki import client


def locked(form: serialization.PrivateFormat) -> bytes:
    return bytes(client().key.private_bytes(pki.PEM, form, serialization.BestAvailableEncryption(b"secret")))


def broken_rsa() -> bytes:
    """An RSA key of which one number is wrong."""
    numbers = pki.rsa_key().private_numbers()
    parts = (
        0,
        numbers.public_numbers.n,
        65537,
        numbers.d,
        numbers.p,
        numbers.q,
        numbers.dmp1,
        numbers.dmq1 + 2,
        numbers.iqmp,
    )
    return armour(der.sequence(*(der.integer(part) for part in parts)), "RSA PRIVATE KEY")


REFUSED: Table = (
    refused(
        "an encrypted PKCS#8 key is refused",
        lambda: with_key(locked(serialization.PrivateFormat.PKCS8)),
        Reason.KEY_ENCRYPTED,
    ),
    refused(
        "an encrypted key of the old kind is refused",
        lambda: with_key(locked(serialization.PrivateFormat.TraditionalOpenSSL)),
        Reason.KEY_ENCRYPTED,
    ),
    refused(
        "a key in OpenSSH's format is refused",
        lambda: with_key(
            client().key.private_bytes(pki.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        ),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "an X25519 key is refused",
        lambda: with_key(pki.pkcs8(x25519.X25519PrivateKey.from_private_bytes(bytes(32)))),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "an Ed448 key is refused",
        lambda: with_key(pki.pkcs8(ed448.Ed448PrivateKey.from_private_bytes(bytes(57)))),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "a DSA key is refused",
        lambda: with_key(pki.pkcs8(dsa.generate_private_key(2048))),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "a key labelled DSA is refused",
        lambda: with_key(armour(b"\x30\x00", "DSA PRIVATE KEY")),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "a key under an unknown label is refused",
        lambda: with_key(armour(b"\x30\x00", "TSS2 PRIVATE KEY")),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "a key on secp256k1 is refused",
        lambda: with_key(pki.pkcs8(pki.curve_key(1, ec.SECP256K1()))),
        Reason.KEY_UNSUPPORTED,
    ),
    refused(
        "a key on P-224, which TLS 1.3 can't use, is refused",
        lambda: pair_of(pki.curve_key(1, ec.SECP224R1())),
        Reason.KEY_UNSUPPORTED,
    ),
    refused("an RSA key whose numbers don't fit is refused", lambda: with_key(broken_rsa()), Reason.KEY_PARSE),
    refused("rubbish as a key is refused", lambda: with_key(armour(b"rubbish", "PRIVATE KEY")), Reason.KEY_PARSE),
    refused(
        "a key with a byte that is not base64 is refused",
        lambda: with_key(own_key().replace(b"M", b"\xa0", 1)),
        Reason.INVALID_PEM,
    ),
    refused("a key without END is refused", lambda: with_key(own_key()[:-26]), Reason.INVALID_PEM),
    refused("a key in one line is refused", lambda: with_key(own_key().replace(b"\n", b" ")), Reason.INVALID_PEM),
    refused(
        "two keys in one value are refused",
        lambda: with_key(own_key() + pki.pkcs8(client(1).key)),
        Reason.KEY_AMBIGUOUS,
    ),
    refused(
        "a certificate beside the key is refused",
        lambda: with_key(own_key() + client().pem),
        Reason.KEY_AMBIGUOUS,
    ),
    refused(
        "a public key is refused",
        lambda: with_key(armour(pki.spki(client().key), "PUBLIC KEY")),
        Reason.KEY_PARSE,
    ),
    refused(
        "EC PARAMETERS alone are refused",
        lambda: with_key(armour(der.oid("1.2.840.10045.3.1.7"), "EC PARAMETERS")),
        Reason.KEY_PARSE,
    ),
    refused(
        "a key in DER is refused",
        lambda: with_key(
            client().key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        ),
        Reason.INVALID_PEM,
    ),
    refused("a key of 13,001 bytes is refused unread", lambda: with_key(b"A" * 13_001), Reason.TOO_LARGE),
)

"""The private key of a pair: what is read, what is refused, and that nobody ever sees it (rows 89-94, 98, 99, 123)."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.certificates.private import PrivateKey
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import check_presentable
from tests.unit.client_tables import (
    KEY,
    attempt,
    check_refused,
    own_key,
    pair_of,
    read,
    refused,
    with_key,
)
from tools import der, pki
from tools.der import armour
from tools.pki import client


def locked(form: serialization.PrivateFormat) -> bytes:
    return client().key.private_bytes(pki.PEM, form, serialization.BestAvailableEncryption(b"secret"))


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


@pytest.mark.parametrize(
    ("values", "place", "reason", "message"),
    [
        refused(
            "row 90: an encrypted PKCS#8 key is refused",
            lambda: with_key(locked(serialization.PrivateFormat.PKCS8)),
            KEY,
            Reason.KEY_ENCRYPTED,
            "block 1 of 1, line 1: is an encrypted private key, and runtimes can't ask for its "
            "passphrase; decrypt it: openssl pkey -in client.key -out plain.key",
        ),
        refused(
            "row 90: an encrypted key of the old kind is refused",
            lambda: with_key(locked(serialization.PrivateFormat.TraditionalOpenSSL)),
            KEY,
            Reason.KEY_ENCRYPTED,
            "block 1 of 1, line 1: is an encrypted private key, and runtimes can't ask for its "
            "passphrase; decrypt it: openssl pkey -in client.key -out plain.key",
        ),
        refused(
            "row 91: a key in OpenSSH's format is refused",
            lambda: with_key(
                client().key.private_bytes(pki.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
            ),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a key in OpenSSH's own format, which runtimes can't read; "
            "convert a copy: install -m 600 client.key plain.key && ssh-keygen -p -N '' -m PEM -f plain.key",
        ),
        refused(
            "row 92: an X25519 key is refused",
            lambda: with_key(pki.pkcs8(x25519.X25519PrivateKey.from_private_bytes(bytes(32)))),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of X25519; RSA of 1024 to 8192 bits, P-256, P-384, "
            "P-521 and Ed25519 are read. Make a new key and have a certificate issued for it",
        ),
        refused(
            "row 92: an Ed448 key is refused",
            lambda: with_key(pki.pkcs8(ed448.Ed448PrivateKey.from_private_bytes(bytes(57)))),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of Ed448; RSA of 1024 to 8192 bits, P-256, P-384, "
            "P-521 and Ed25519 are read. Make a new key and have a certificate issued for it",
        ),
        refused(
            "row 92: a DSA key is refused",
            lambda: with_key(pki.pkcs8(dsa.generate_private_key(2048))),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of DSA; RSA of 1024 to 8192 bits, P-256, P-384, "
            "P-521 and Ed25519 are read. Make a new key and have a certificate issued for it",
        ),
        refused(
            "row 92: a key labelled DSA is refused",
            lambda: with_key(armour(b"\x30\x00", "DSA PRIVATE KEY")),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of DSA; RSA of 1024 to 8192 bits, P-256, P-384, "
            "P-521 and Ed25519 are read. Make a new key and have a certificate issued for it",
        ),
        refused(
            "row 92: a key under an unknown label is refused",
            lambda: with_key(armour(b"\x30\x00", "TSS2 PRIVATE KEY")),
            KEY,
            Reason.KEY_UNSUPPORTED,
            'block 1 of 1, line 1: has the label "TSS2 PRIVATE KEY" and holds no key in PKCS#8, PKCS#1 or SEC1, '
            "which is what runtimes read",
        ),
        refused(
            "row 92: a key on secp256k1 is refused",
            lambda: with_key(pki.pkcs8(pki.curve_key(1, ec.SECP256K1()))),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of the curve secp256k1; RSA of 1024 to 8192 bits, "
            "P-256, P-384, P-521 and Ed25519 are read. Make a new key and have a certificate issued for "
            "it",
        ),
        refused(
            "row 92: a key on P-224, which TLS 1.3 can't use, is refused",
            lambda: pair_of(pki.curve_key(1, ec.SECP224R1())),
            KEY,
            Reason.KEY_UNSUPPORTED,
            "block 1 of 1, line 1: is a private key of the curve P-224; RSA of 1024 to 8192 bits, P-256, "
            "P-384, P-521 and Ed25519 are read. Make a new key and have a certificate issued for it",
        ),
        refused(
            "row 94: an RSA key whose numbers don't fit is refused",
            lambda: with_key(broken_rsa()),
            KEY,
            Reason.KEY_PARSE,
            "block 1 of 1, line 1: is no private key that can be read, or its numbers don't fit "
            "together; copy it again, or make a new key and have a certificate issued for it (openssl "
            "pkey -in client.key -check -noout tells more)",
        ),
        refused(
            "row 94: rubbish as a key is refused",
            lambda: with_key(armour(b"rubbish", "PRIVATE KEY")),
            KEY,
            Reason.KEY_PARSE,
            "block 1 of 1, line 1: is no private key that can be read, or its numbers don't fit "
            "together; copy it again, or make a new key and have a certificate issued for it (openssl "
            "pkey -in client.key -check -noout tells more)",
        ),
        refused(
            "row 94: a key with a byte that is not base64 is refused",
            lambda: with_key(own_key().replace(b"M", b"\xa0", 1)),
            KEY,
            Reason.INVALID_PEM,
            "block 1 of 1, line 1, in line 2: has the invisible character U+00A0 (no-break space) in "
            "column 1; take it out: LC_ALL=C tr -cd '\\11\\12\\15\\40-\\176' < old.pem > client.key",
        ),
        refused(
            "row 94: a key without END is refused",
            lambda: with_key(own_key()[:-26]),
            KEY,
            Reason.INVALID_PEM,
            "block 1 of 1, line 1: has no END line; copy the block again, whole",
        ),
        refused(
            "row 94: a key in one line is refused",
            lambda: with_key(own_key().replace(b"\n", b" ")),
            KEY,
            Reason.INVALID_PEM,
            "line 1: there is more on the BEGIN line than the marker; start the base64 text on a line of its own",
        ),
        refused(
            "row 98: two keys in one value are refused",
            lambda: with_key(own_key() + pki.pkcs8(client(1).key)),
            KEY,
            Reason.KEY_AMBIGUOUS,
            "block 2 of 2, line 6: holds 2 private keys; leave only the one that belongs to the certificate",
        ),
        refused(
            "row 98: a certificate beside the key is refused",
            lambda: with_key(own_key() + client().pem),
            KEY,
            Reason.KEY_AMBIGUOUS,
            "certificate 2 of 2, line 6: is a certificate beside the private key; leave the key alone "
            "there: openssl pkey -in client.pem -out client.key",
        ),
        refused(
            "row 99: a public key is refused",
            lambda: with_key(armour(pki.spki(client().key), "PUBLIC KEY")),
            KEY,
            Reason.KEY_PARSE,
            'block 1 of 1, line 1: has the label "PUBLIC KEY", which is no private key; put the '
            "private key there, alone",
        ),
        refused(
            "row 99: EC PARAMETERS alone are refused",
            lambda: with_key(armour(der.oid("1.2.840.10045.3.1.7"), "EC PARAMETERS")),
            KEY,
            Reason.KEY_PARSE,
            "block 1 of 1, line 1: holds no private key; put the private key there",
        ),
        refused(
            "row 66: a key in DER is refused",
            lambda: with_key(
                client().key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            ),
            KEY,
            Reason.INVALID_PEM,
            "holds no PEM block: looks like a private key in DER; convert it: openssl pkey -inform der "
            "-in client.der -out client.key",
        ),
        refused(
            "row 123: a key of 13,001 bytes is refused unread",
            lambda: with_key(b"A" * 13_001),
            KEY,
            Reason.TOO_LARGE,
            "13,001 bytes, at most 13,000 are read; give the private key alone",
        ),
    ],
)
def test_refused(values, place, reason, message):
    certificate, key = values()
    check_refused(certificate, key, place, reason, message)


def test_every_form_of_one_key_is_written_alike():
    mislabelled = own_key().replace(b"PRIVATE", b"RSA PRIVATE")
    forms = (own_key(), mislabelled, pki.traditional(client().key), b"# mine\r\n" + own_key().replace(b"\n", b"\r\n"))

    assert {read(client().pem, form).key for form in forms} == {read(client().pem, own_key()).key}


CANARY = pki.pkcs8(pki.curve_key(4_711_000))
CANARY_PARTS = [line.decode()[:12] for line in CANARY.splitlines()[1:-1]]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(CANARY, id="of another certificate"),
        pytest.param(CANARY * 2, id="twice"),
        pytest.param(CANARY.replace(b"\n", b" "), id="in one line"),
        pytest.param(CANARY.replace(b"\n", b"\\n"), id="with the two characters backslash and n"),
        pytest.param(CANARY.replace(b"\n", b"\r"), id="with CR line ends"),
        pytest.param(CANARY[:-30], id="cut"),
        pytest.param(CANARY[30:], id="without BEGIN"),
        pytest.param(CANARY.replace(b"PRIVATE", b"EC PRIVATE"), id="under another label"),
        pytest.param(CANARY.replace(b"-----\n", b"-----\nComment: x\n\n", 1), id="with a header"),
        pytest.param(b"  " + CANARY, id="indented"),
        pytest.param(b"".join(CANARY.splitlines()[1:-1]), id="without its markers"),
    ],
)
def test_no_byte_of_a_key_is_in_the_error(key):
    for error in (attempt(client().pem, key), attempt(key, own_key()), attempt(key, key)):
        assert isinstance(error, UnusableMaterial)
        shown = "".join(traceback.format_exception(error)) + str(error) + repr(error) + repr(error.args)

        assert not [part for part in CANARY_PARTS if part in shown]
        check_presentable(error)


def test_a_private_key_shows_itself_to_nobody():
    key = PrivateKey(CANARY)
    shown = f"{key} {key!r} {key:>40} {[key]} {vars(type(key)).get('_pem')!r} {read(client().pem, own_key())}"

    assert not [part for part in CANARY_PARTS if part in shown]
    assert copy.copy(key) is key
    assert copy.deepcopy([key])[0] is key
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(key)
    with pytest.raises(AttributeError, match="can't be changed"):
        key._pem = b""


def test_private_keys_are_equal_by_value():
    assert PrivateKey(CANARY) == PrivateKey(bytes(bytearray(CANARY)))
    assert hash(PrivateKey(CANARY)) == hash(PrivateKey(bytes(bytearray(CANARY))))
    assert PrivateKey(CANARY) != PrivateKey(own_key())
    assert PrivateKey(CANARY) != CANARY


PIECES = st.sampled_from(
    [client().pem, CANARY, CANARY[:60], b"-----END PRIVATE KEY-----", b"\n", b" ", b"Proc-Type: 4,ENCRYPTED"]
)
VALUES = st.one_of(st.binary(max_size=200), st.lists(PIECES | st.binary(max_size=8), max_size=8).map(b"".join))


@settings(deadline=None)
@given(VALUES, VALUES)
def test_any_bytes_are_refused_without_a_byte_of_a_key(certificate, key):
    error = attempt(certificate, key)
    assert isinstance(error, UnusableMaterial)
    shown = "".join(traceback.format_exception(error))

    assert not [part for part in CANARY_PARTS if part in shown]
    check_presentable(error)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_any_changed_byte_of_a_key_is_refused_or_harmless(position, value):
    der = bytearray(
        client().key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    der[position % len(der)] = value
    found = attempt(client().pem, armour(bytes(der), "PRIVATE KEY"))
    if isinstance(found, UnusableMaterial):
        check_presentable(found)
    else:
        assert found.key.reveal() == own_key()

"""The private key of a pair: what is read, what is refused, and that nobody ever sees it."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.certificates.private import PrivateKey
from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import check_presentable, each
from tests.unit.client_tables import attempt, check_refused
from tools import pki
from tools.der import armour
from tools.messages import client_keys
from tools.messages.material import own_key, read_pair
from tools.pki import client


@each(client_keys.REFUSED)
def test_refused(case):
    check_refused(case)


def test_every_form_of_one_key_is_written_alike():
    mislabelled = own_key().replace(b"PRIVATE", b"RSA PRIVATE")
    forms = (own_key(), mislabelled, pki.traditional(client().key), b"# mine\r\n" + own_key().replace(b"\n", b"\r\n"))

    assert {read_pair(client().pem, form).key for form in forms} == {read_pair(client().pem, own_key()).key}


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
    shown = f"{key} {key!r} {key:>40} {[key]} {vars(type(key)).get('_pem')!r} {read_pair(client().pem, own_key())}"

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

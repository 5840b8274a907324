"""The search for private keys in what tests leave: it finds each form of a key, and nothing else."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization

from tools import pki
from tools.authority import Authority
from tools.cluster import canaries

KEY = Authority.create("canary").client("node").key
SCALAR = serialization.load_pem_private_key(KEY, None).private_numbers().private_value.to_bytes(32, "big")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(KEY, id="PEM"),
        pytest.param(json.dumps({"key": KEY.decode()}), id="PEM in JSON"),
        pytest.param(repr(KEY), id="PEM as Python shows it"),
        pytest.param(base64.b64encode(KEY), id="base64 of PEM, as in a Secret"),
        pytest.param(base64.b64encode(b"tls.key: " + KEY), id="base64 of PEM after other text"),
        pytest.param(b"".join(KEY.splitlines()[1:-1]), id="PEM without its markers"),
        pytest.param(KEY[:150], id="the half of a PEM"),
        pytest.param(KEY.splitlines()[2], id="a line of PEM"),
        pytest.param(SCALAR, id="raw"),
        pytest.param(b"key=" + SCALAR.hex().encode(), id="hexadecimal"),
        pytest.param(SCALAR.hex().upper(), id="hexadecimal in upper case"),
        pytest.param(base64.b64encode(b"x" + SCALAR), id="base64 of raw"),
    ],
)
def test_a_private_key_is_found(text):
    data = text if isinstance(text, bytes) else text.encode()

    assert canaries.is_in(b"level=info msg=" + data + b"\n")
    with pytest.raises(canaries.KeyFoundError, match=r"stands in: the log$") as caught:
        canaries.require_none({"the log": data, "another": b"clean"})
    assert not canaries.is_in(str(caught.value))


def test_certificates_public_keys_and_other_keys_are_not_taken_for_one():
    pair = Authority.create("canary").client("node")

    assert not canaries.is_in(pair.certificate)
    assert not canaries.is_in(base64.b64encode(pair.certificate))
    assert not canaries.is_in(pki.client().pem + pki.spki(pki.client().key))
    assert not canaries.is_in(bytes(range(256)) * 10)

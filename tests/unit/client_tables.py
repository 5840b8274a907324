"""The shape of the tables about `clientCertificates`: a sentence, a pair, a verdict and the whole message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from registry_trust.certificates.pairs import CheckedPair, read_client_pair
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import check_presentable
from tools import pki
from tools.pki import client, issue, root

FIELD = "spec.clientCertificates[0].secretRef"
CERTIFICATE = "Secret registry-trust/harbor-client key tls.crt"
KEY = "Secret registry-trust/harbor-client key tls.key"

Values = Callable[[], tuple[bytes, bytes]]


def read(certificate: bytes, key: bytes) -> CheckedPair:
    return read_client_pair(certificate, key, field=FIELD, certificate_place=CERTIFICATE, key_place=KEY, now=pki.NOW)


def attempt(certificate: bytes, key: bytes) -> CheckedPair | UnusableMaterial:
    try:
        return read(certificate, key)
    except UnusableMaterial as error:
        return error


def refused(sentence: str, values: Values, place: str, reason: Reason, message: str):
    return pytest.param(values, place, reason, message, id=sentence)


def accepted(sentence: str, values: Values, *warnings: tuple[Reason, str]):
    return pytest.param(values, warnings, id=sentence)


def pair_of(key, **more) -> tuple[bytes, bytes]:
    return issue("node 1", key, issuer=root(), **more).pem, pki.pkcs8(key)


def own_key() -> bytes:
    return pki.pkcs8(client().key)


def with_key(key: bytes) -> tuple[bytes, bytes]:
    return client().pem, key


def fingerprint(key) -> str:
    return hashlib.sha256(pki.spki(key)).hexdigest()


def check_refused(certificate: bytes, key: bytes, place: str, reason: Reason, message: str) -> None:
    error = attempt(certificate, key)
    whole = message.format(client=fingerprint(client().key), other=fingerprint(client(1).key))

    assert isinstance(error, UnusableMaterial)
    assert str(error) == f"{reason}: {FIELD}: {place}: {whole}"
    assert (error.problem.reason, error.problem.field) == (reason, FIELD)
    check_presentable(error)

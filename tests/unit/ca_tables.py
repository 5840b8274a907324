"""The shape of the tables about `caCertificates`: a sentence, an input, a verdict and the whole message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registry_trust.certificates.authorities import CheckedRoots, read_ca_certificates
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tools import pki
from tools.pki import issue, root

FIELD = "spec.caCertificates[0].secretKeyRef"
PLACE = "Secret registry-trust/harbor-ca key ca.crt"
REGISTRY = "harbor.corp.example:5000"

Input = Callable[[], bytes]


def read(data: bytes) -> CheckedRoots:
    return read_ca_certificates(data, field=FIELD, place=PLACE, now=pki.NOW, registries=(REGISTRY,))


def attempt(data: bytes) -> CheckedRoots | UnusableMaterial:
    """What was read, or the error; any other exception is a failure of the test."""
    try:
        return read(data)
    except UnusableMaterial as error:
        return error


def refused(sentence: str, data: Input, reason: Reason, message: str):
    """A row of a table of inputs that are refused, with the message after its place."""
    return pytest.param(data, reason, message, id=sentence)


def accepted(sentence: str, data: Input, count: int, *warnings: tuple[Reason, str]):
    """A row of a table of inputs that are accepted as `count` certificates, with all their warnings."""
    return pytest.param(data, count, warnings, id=sentence)


def check_refused(data: bytes, reason: Reason, message: str) -> None:
    error = attempt(data)

    assert isinstance(error, UnusableMaterial)
    assert str(error) == f"{reason}: {FIELD}: {PLACE}: {message}"
    assert (error.problem.reason, error.problem.field) == (reason, FIELD)
    check_presentable(error)


def check_accepted(data: bytes, count: int, warnings: tuple[tuple[Reason, str], ...]) -> None:
    found = read(data)

    assert len(found.pems) == len(found.facts) == count
    assert [str(warning) for warning in found.warnings] == [
        f"{reason}: {FIELD}: {PLACE}: {message}" for reason, message in warnings
    ]


def check_presentable(error: UnusableMaterial) -> None:
    """An error is printable ASCII and carries no other exception, which might quote what it read."""
    assert all(" " <= character <= "~" for character in str(error))
    assert error.__cause__ is None
    assert error.__context__ is None


def with_body_line(change: Callable[[bytes], bytes]) -> bytes:
    """The root's PEM with the second line of its body changed."""
    lines = root().pem.split(b"\n")
    lines[2] = change(lines[2])
    return b"\n".join(lines)


def plain_ca(**more) -> pki.Issued:
    return issue("Shaped Root", pki.curve_key(3), ca=True, **more)

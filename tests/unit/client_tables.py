"""How a case of a pair is checked."""

from __future__ import annotations

from registry_trust.certificates.pairs import CheckedPair
from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import check_presentable
from tools.messages.cases import Case
from tools.messages.material import CERTIFICATE_PLACE, KEY_PLACE, PAIR_FIELD, read_pair


def attempt(certificate: bytes, key: bytes) -> CheckedPair | UnusableMaterial:
    try:
        return read_pair(certificate, key)
    except UnusableMaterial as error:
        return error


def check_refused(case: Case) -> None:
    error = attempt(*case.given())

    assert isinstance(error, UnusableMaterial)
    assert ((error.problem.reason,), error.problem.field) == (case.reasons, PAIR_FIELD)
    assert error.problem.message.startswith((f"{CERTIFICATE_PLACE}: ", f"{KEY_PLACE}: "))
    check_presentable(error)

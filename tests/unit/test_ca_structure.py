"""The inside of a certificate: what a runtime written in Go could not parse or verify is refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import attempt, check_presentable, check_refused, each
from tools.der import armour
from tools.messages import ca_structure
from tools.pki import root


@each(ca_structure.REFUSED)
def test_refused(case):
    check_refused(case)


@settings(deadline=None)
@given(st.integers(0, len(root().der) - 1), st.integers(0, 255))
def test_any_changed_byte_of_a_certificate_is_accepted_whole_or_refused(position, value):
    changed = bytearray(root().der)
    changed[position] = value
    found = attempt(armour(bytes(changed)))
    if isinstance(found, UnusableMaterial):
        check_presentable(found)
    else:
        assert found.pems == (armour(bytes(changed)),)

"""What is no PEM of certificates at all: keys, other formats, nothing, and far too much."""

from __future__ import annotations

import traceback

from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import attempt, check_presentable, check_refused, each
from tools import pki
from tools.messages import ca_not_pem
from tools.pki import root


@each(ca_not_pem.REFUSED)
def test_refused(case):
    check_refused(case)


def test_no_byte_of_a_private_key_is_in_the_error():
    key = pki.pkcs8(pki.curve_key(99))
    for data in (root().pem + key, key, key.replace(b"\n", b" "), key.rstrip() + root().pem, key[:-30]):
        error = attempt(data)
        assert isinstance(error, UnusableMaterial)
        shown = "".join(traceback.format_exception(error)) + repr(error.args)

        assert not any(line.decode()[:16] in shown for line in key.splitlines()[1:-1])
        check_presentable(error)

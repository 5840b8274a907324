"""A server's own certificate in `caCertificates`: it vouches for itself, and the warning says what that means."""

from __future__ import annotations

from tests.unit.ca_tables import check_accepted, each
from tools.messages import ca_servers


@each(ca_servers.ACCEPTED)
def test_accepted(case):
    check_accepted(case)

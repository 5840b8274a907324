"""Which addresses a probe contacts."""

from __future__ import annotations

import pytest

from registry_trust.agent.probe.network import Unreachable, may_be_contacted, resolve


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.0.0.7", True),
        ("127.0.0.1", True),
        ("2001:db8::7", True),
        ("fd00::7", True),
        ("169.254.169.254", False),
        ("::ffff:169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("0.0.0.0", False),  # noqa: S104 - it is not bound
        ("::", False),
        ("224.0.0.1", False),
    ],
)
def test_addresses_of_metadata_servers_are_never_contacted(address, may):
    assert may_be_contacted(address) is may


def test_a_name_without_an_address_is_unreachable():
    assert resolve("127.0.0.1", 5000) == [("127.0.0.1", 5000)]
    with pytest.raises(Unreachable, match="no address"):
        resolve("no..such", 5000)

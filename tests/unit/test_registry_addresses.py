"""Addresses, other alphabets and reserved names as registries: rows 31-44 of the table of bad inputs."""

from __future__ import annotations

import pytest

from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.reasons import Reason

FIELD = "spec.registries[0]"


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        pytest.param(
            "2001:db8::1",
            Reason.INVALID_HOST,
            '"2001:db8::1" is an IPv6 address without brackets; write "[2001:db8::1]"',
            id="row 31: IPv6 without brackets",
        ),
        pytest.param(
            "[2001:db8::1",
            Reason.INVALID_HOST,
            '"[2001:db8::1" has a [ without a ]; write [IPv6] or [IPv6]:port',
            id="row 32: a bracket that is not closed",
        ),
        pytest.param(
            "2001:db8::1]:5000",
            Reason.INVALID_HOST,
            '"2001:db8::1]:5000" has an unbalanced bracket; write [IPv6] or [IPv6]:port',
            id="row 32: a bracket that was not opened",
        ),
        pytest.param(
            "[fe80::1%eth0]:5000",
            Reason.INVALID_HOST,
            '"[fe80::1%eth0]:5000" has a zone after the %, which no image reference can carry; remove it',
            id="row 33: a zone",
        ),
        pytest.param(
            "[::ffff:10.0.0.1]:5000",
            Reason.INVALID_HOST,
            ('"[::ffff:10.0.0.1]:5000" is an IPv4-mapped address; write the IPv4 address itself'),
            id="row 34: an IPv4-mapped address",
        ),
        pytest.param(
            "[2001:DB8:0:0::1]:5000",
            Reason.INVALID_HOST,
            ('"[2001:DB8:0:0::1]:5000" is not the canonical form of the address; write "[2001:db8::1]:5000"'),
            id="row 35: IPv6 that is not canonical",
        ),
        pytest.param(
            "[:::1]",
            Reason.INVALID_HOST,
            '"[:::1]" has no IPv6 address between the brackets; write [IPv6] or [IPv6]:port',
            id="row 37: three colons",
        ),
        pytest.param(
            "[12345::1]",
            Reason.INVALID_HOST,
            '"[12345::1]" has no IPv6 address between the brackets; write [IPv6] or [IPv6]:port',
            id="row 37: five digits in a group",
        ),
        pytest.param(
            "[]",
            Reason.INVALID_HOST,
            '"[]" has no IPv6 address between the brackets; write [IPv6] or [IPv6]:port',
            id="row 37: nothing in brackets",
        ),
        pytest.param(
            "[2001:db8::1]x",
            Reason.INVALID_HOST,
            '"[2001:db8::1]x" has text after the ]; write [IPv6] or [IPv6]:port',
            id="row 37: text after the bracket",
        ),
        pytest.param(
            "10.0.0.256",
            Reason.INVALID_HOST,
            ('"10.0.0.256" is not a canonical IPv4 address (four numbers of 0-255, no leading zeros)'),
            id="row 38: an octet of 256",
        ),
        pytest.param(
            "010.0.0.1",
            Reason.INVALID_HOST,
            ('"010.0.0.1" is not a canonical IPv4 address (four numbers of 0-255, no leading zeros)'),
            id="row 38: an octet with a leading zero",
        ),
        pytest.param(
            "0x7f.1",
            Reason.INVALID_HOST,
            ('"0x7f.1" is not a canonical IPv4 address (four numbers of 0-255, no leading zeros)'),
            id="row 38: hexadecimal octets",
        ),
        pytest.param(
            "reg\xedstry.example:5000",
            Reason.INVALID_HOST,
            (
                '"reg\\xedstry.example:5000" holds a non-ASCII character (U+00ED at position 3); '
                'write "xn--regstry-9ya.example:5000"'
            ),
            id="row 39: a name that IDNA can write",
        ),
        pytest.param(
            "r\u0435g.example",
            Reason.INVALID_HOST,
            ('"r\\u0435g.example" holds a non-ASCII character (U+0435 at position 1); write "xn--rg-nlc.example"'),
            id="row 40: a Cyrillic letter",
        ),
        pytest.param(
            "reg\u200d.example",
            Reason.INVALID_HOST,
            (
                '"reg\\u200d.example" holds a non-ASCII character (U+200D at position 3); use the '
                "ASCII (xn--) form of the name"
            ),
            id="row 40: a zero-width joiner",
        ),
        pytest.param(
            "\u202ereg.example",
            Reason.INVALID_HOST,
            (
                '"\\u202ereg.example" holds a non-ASCII character (U+202E at position 0); use the '
                "ASCII (xn--) form of the name"
            ),
            id="row 40: a right-to-left override",
        ),
        pytest.param(
            "reg\u3002example",
            Reason.INVALID_HOST,
            (
                '"reg\\u3002example" holds a non-ASCII character (U+3002 at position 3); use the '
                "ASCII (xn--) form of the name"
            ),
            id="row 40: an ideographic full stop",
        ),
        pytest.param(
            "index.docker.io",
            Reason.RESERVED_HOST,
            ('"index.docker.io" is Docker Hub, which image references and runtimes call docker.io; write docker.io'),
            id="row 42: Docker Hub's index",
        ),
        pytest.param(
            "registry-1.docker.io",
            Reason.RESERVED_HOST,
            (
                '"registry-1.docker.io" is Docker Hub, which image references and runtimes call docker.io; '
                "write docker.io"
            ),
            id="row 42: Docker Hub's registry",
        ),
        pytest.param(
            "_default",
            Reason.RESERVED_HOST,
            (
                '"_default" has a meaning of its own in a certificate directory, and no image '
                "reference can name it; write the host[:port] of an image reference"
            ),
            id="row 43: containerd's default directory",
        ),
        pytest.param(
            "_backup",
            Reason.RESERVED_HOST,
            (
                '"_backup" has a meaning of its own in a certificate directory, and no image '
                "reference can name it; write the host[:port] of an image reference"
            ),
            id="row 43: Spegel's backup",
        ),
        pytest.param(
            ".registry-trust",
            Reason.RESERVED_HOST,
            (
                '".registry-trust" has a meaning of its own in a certificate directory, and no '
                "image reference can name it; write the host[:port] of an image reference"
            ),
            id="row 43: our own store",
        ),
        pytest.param(
            "lost+found",
            Reason.RESERVED_HOST,
            (
                '"lost+found" has a meaning of its own in a certificate directory, and no image '
                "reference can name it; write the host[:port] of an image reference"
            ),
            id="row 43: ext4's directory",
        ),
        pytest.param(
            "reg.example_5000_",
            Reason.INVALID_HOST,
            '"reg.example_5000_" is containerd\'s spelling of a directory\'s name; write "reg.example:5000"',
            id="row 44: containerd's other spelling",
        ),
    ],
)
def test_refused(name, reason, message):
    with pytest.raises(InvalidField) as raised:
        registry_names.check(name, FIELD)

    assert str(raised.value) == f"{reason}: {FIELD}: {message.replace('{name}', name)}"
    assert (raised.value.problem.reason, raised.value.problem.field) == (reason, FIELD)

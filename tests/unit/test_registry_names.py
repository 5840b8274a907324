"""Which registries may be named: rows 1-30 of the table of bad inputs, with the whole message of each."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import directory_names
from registry_trust.core.reasons import Reason

FIELD = "spec.registries[0]"


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        pytest.param(
            "",
            Reason.INVALID_HOST,
            "must not be empty; write the host[:port] of an image reference",
            id="row 1: an empty name",
        ),
        pytest.param(
            "https://reg.example",
            Reason.INVALID_HOST,
            '"https://reg.example" has a scheme; remove "https://"',
            id="row 2: a scheme",
        ),
        pytest.param(
            "https://reg.example/v2/",
            Reason.INVALID_HOST,
            '"https://reg.example/v2/" has a scheme; remove "https://" and what follows the host',
            id="row 2: a scheme and a path",
        ),
        pytest.param(
            "reg.example/v2",
            Reason.INVALID_HOST,
            ('"reg.example/v2" has a path; name the host alone, as host[:port], without anything from the /'),
            id="row 3: the path of the API",
        ),
        pytest.param(
            "reg.example/team",
            Reason.INVALID_HOST,
            ('"reg.example/team" has a path; name the host alone, as host[:port], without anything from the /'),
            id="row 3: a repository",
        ),
        pytest.param(
            "user:pw@reg.example",
            Reason.INVALID_HOST,
            "holds credentials (an @); name the host alone, as host[:port]",
            id="row 4: credentials",
        ),
        pytest.param(
            "https://user:pw@reg.example",
            Reason.INVALID_HOST,
            "holds credentials (an @); name the host alone, as host[:port]",
            id="row 4: credentials after a scheme",
        ),
        pytest.param(
            "../../etc/cron.d",
            Reason.INVALID_HOST,
            ('"../../etc/cron.d" has a path; name the host alone, as host[:port], without anything from the /'),
            id="row 5: a way out of the directory",
        ),
        pytest.param(
            "..",
            Reason.INVALID_HOST,
            '".." ends in a dot, which image references can\'t carry; remove it',
            id="row 6: two dots",
        ),
        pytest.param(
            ".",
            Reason.INVALID_HOST,
            '"." ends in a dot, which image references can\'t carry; remove it',
            id="row 6: one dot",
        ),
        pytest.param(
            "...",
            Reason.INVALID_HOST,
            '"..." ends in a dot, which image references can\'t carry; remove it',
            id="row 6: three dots",
        ),
        pytest.param(
            "/etc/passwd",
            Reason.INVALID_HOST,
            ('"/etc/passwd" has a path; name the host alone, as host[:port], without anything from the /'),
            id="row 7: an absolute path",
        ),
        pytest.param(
            "reg%2f..%2fx",
            Reason.INVALID_HOST,
            '"reg%2f..%2fx" holds a percent sign, which no image reference\'s host can; write the name as DNS has it',
            id="row 8: an escaped slash",
        ),
        pytest.param(
            "reg\\..\\x",
            Reason.INVALID_HOST,
            '"reg\\..\\x" holds a backslash, which no image reference\'s host can; write the name as DNS has it',
            id="row 9: a backslash",
        ),
        pytest.param(
            "reg.example\n",
            Reason.INVALID_HOST,
            '"reg.example\\n" holds a control character (U+000A at position 11); remove it',
            id="row 10: a line break at the end",
        ),
        pytest.param(
            "reg\x00.example",
            Reason.INVALID_HOST,
            '"reg\\x00.example" holds a control character (U+0000 at position 3); remove it',
            id="row 11: a NUL",
        ),
        pytest.param(
            " reg.example ",
            Reason.INVALID_HOST,
            '" reg.example " holds white space (U+0020 at position 0); remove it',
            id="row 12: spaces around it",
        ),
        pytest.param(
            "reg.example\t",
            Reason.INVALID_HOST,
            '"reg.example\\t" holds a control character (U+0009 at position 11); remove it',
            id="row 12: a tab",
        ),
        pytest.param(
            "reg_1.example",
            Reason.INVALID_HOST,
            '"reg_1.example" holds an underscore, which no image reference\'s host can; give the registry a DNS '
            "name without it",
            id="row 14: an underscore",
        ),
        pytest.param(
            "-reg.example",
            Reason.INVALID_HOST,
            ('"-reg.example" has the label "-reg"; a label is letters, digits and -, without - at its edges'),
            id="row 15: a hyphen at the start of a label",
        ),
        pytest.param(
            "reg-.example",
            Reason.INVALID_HOST,
            ('"reg-.example" has the label "reg-"; a label is letters, digits and -, without - at its edges'),
            id="row 15: a hyphen at the end of a label",
        ),
        pytest.param(
            "reg..example",
            Reason.INVALID_HOST,
            '"reg..example" has an empty label (two dots, or a dot at the edge); write one dot between labels',
            id="row 16: an empty label",
        ),
        pytest.param(
            "reg.example.",
            Reason.INVALID_HOST,
            '"reg.example." ends in a dot, which image references can\'t carry; remove it',
            id="row 17: a dot at the end",
        ),
        pytest.param(
            "*.example.com",
            Reason.INVALID_HOST,
            (
                '"*.example.com" holds a *, which no image reference\'s host can; runtimes know '
                "no wildcards, name each registry"
            ),
            id="row 18: a wildcard",
        ),
        pytest.param(
            "a" * 64 + ".example",
            Reason.INVALID_HOST,
            '"{name}" has a label of more than 63 characters, which DNS has not; write the name as DNS has it',
            id="row 19: a label of 64 characters",
        ),
        pytest.param(
            ".".join(["a" * 49] * 5) + ".abcd",
            Reason.INVALID_HOST,
            '"{name}" is longer than 253 characters, as no name in DNS is; write the name as DNS has it',
            id="row 20: a name of 254 characters",
        ),
        pytest.param(
            ".".join(["a" * 48] * 5) + ".abcdef:5000",
            Reason.INVALID_HOST,
            '"{name}" has 256 characters, and at most 229 are allowed: the longest directory name made of it would '
            "have 282 bytes, and no more than 255 fit; give it a shorter one",
            id="row 20: a directory name of 256 bytes",
        ),
        pytest.param(
            "registry",
            Reason.INVALID_HOST,
            ('"registry" has neither a dot nor a port, so image references read it as a repository; add the port'),
            id="row 21: one label without a port",
        ),
        pytest.param(
            "reg.example:",
            Reason.INVALID_PORT,
            '"reg.example:" ends in a colon without a port; remove the colon or add the port',
            id="row 23: a colon without a port",
        ),
        pytest.param(
            ":5000", Reason.INVALID_HOST, '":5000" has no host; write host:port', id="row 24: a port without a host"
        ),
        pytest.param(
            "reg.example:0",
            Reason.INVALID_PORT,
            ('"reg.example:0" has no port between 1 and 65535 after the colon; use ASCII digits only'),
            id="row 25: port 0",
        ),
        pytest.param(
            "reg.example:65536",
            Reason.INVALID_PORT,
            ('"reg.example:65536" has no port between 1 and 65535 after the colon; use ASCII digits only'),
            id="row 25: port 65536",
        ),
        pytest.param(
            "reg.example:-1",
            Reason.INVALID_PORT,
            ('"reg.example:-1" has no port between 1 and 65535 after the colon; use ASCII digits only'),
            id="row 25: a negative port",
        ),
        pytest.param(
            "reg.example:05000",
            Reason.INVALID_PORT,
            ('"reg.example:05000" has a port with a leading zero, which is another directory; write 5000'),
            id="row 26: a leading zero",
        ),
        pytest.param(
            "reg.example:5000:5000",
            Reason.INVALID_PORT,
            '"reg.example:5000:5000" has more than one port; write host:port',
            id="row 27: two ports",
        ),
        pytest.param(
            "reg.example:\uff15\uff10\uff10\uff10",
            Reason.INVALID_PORT,
            (
                '"reg.example:\\uff15\\uff10\\uff10\\uff10" has no port between 1 and 65535 after '
                "the colon; use ASCII digits only"
            ),
            id="row 28: full-width digits",
        ),
        pytest.param(
            "reg.example:5_000",
            Reason.INVALID_PORT,
            ('"reg.example:5_000" has no port between 1 and 65535 after the colon; use ASCII digits only'),
            id="row 28: an underscore between digits",
        ),
        pytest.param(
            "reg.example:https",
            Reason.INVALID_PORT,
            ('"reg.example:https" has no port between 1 and 65535 after the colon; use ASCII digits only'),
            id="row 29: a service's name",
        ),
    ],
)
def test_refused(name, reason, message):
    with pytest.raises(InvalidField) as raised:
        registry_names.check(name, FIELD)

    assert str(raised.value) == f"{reason}: {FIELD}: {message.replace('{name}', name)}"
    assert (raised.value.problem.reason, raised.value.problem.field) == (reason, FIELD)


def test_row_4_a_password_is_never_repeated():
    for name in ("user:hunter2@reg.example", "https://user:hunter2@reg.example/v2", "hunter2@reg.example\n"):
        with pytest.raises(InvalidField) as raised:
            registry_names.check(name, FIELD)

        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        pytest.param("registry:5000", "registry", "5000", id="row 22: one label with a port"),
        pytest.param("localhost:5000", "localhost", "5000", id="row 22: localhost with a port"),
        pytest.param("localhost", "localhost", "", id="row 22: localhost"),
        pytest.param("reg.example", "reg.example", "", id="a host without a port"),
        pytest.param("Reg.Example:5000", "Reg.Example", "5000", id="row 13: upper case, as references may have it"),
        pytest.param("[2001:DB8::1]:5000", "[2001:DB8::1]", "5000", id="row 13: an address in upper case"),
        pytest.param("REGISTRY", "REGISTRY", "", id="row 13: a word in upper case, which is no repository"),
        pytest.param("docker.io", "docker.io", "", id="row 42: Docker Hub"),
        pytest.param("reg.example:443", "reg.example", "443", id="row 30: port 443, which is another directory"),
        pytest.param("reg.example:65535", "reg.example", "65535", id="row 25: the last port"),
        pytest.param("[2001:db8::1]", "[2001:db8::1]", "", id="row 36: IPv6 without a port"),
        pytest.param("[2001:db8::1]:5000", "[2001:db8::1]", "5000", id="IPv6 with a port"),
        pytest.param("10.0.0.1:5000", "10.0.0.1", "5000", id="row 38: a canonical IPv4 address"),
        pytest.param("xn--regstry-9ya.example", "xn--regstry-9ya.example", "", id="row 39: the ASCII form of a name"),
        pytest.param("a--b.example", "a--b.example", "", id="two hyphens inside a label"),
        pytest.param("1.example", "1.example", "", id="a label of digits"),
        pytest.param("mirror.docker.io", "mirror.docker.io", "", id="row 42: a host below Docker Hub's name"),
    ],
)
def test_accepted_byte_for_byte(name, host, port):
    assert registry_names.check(name, FIELD) == name
    assert registry_names.split(name) == (host, port)


@pytest.mark.parametrize("name", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"])
def test_row_22_loopback_is_where_runtimes_verify_nothing(name):
    assert registry_names.is_loopback(registry_names.check(name))


@pytest.mark.parametrize("name", ["reg.example", "localhost.example:5000", "10.127.0.1:5000", "[2001:db8::1]:5000"])
def test_other_hosts_are_no_loopback(name):
    assert not registry_names.is_loopback(registry_names.check(name))


def test_the_longest_name_is_accepted_and_one_more_is_not():
    longest = ".".join(["a" * 44] * 5) + ":5000"

    assert registry_names.check(longest) == longest
    assert len(longest) == registry_names.MAXIMUM_LENGTH
    with pytest.raises(InvalidField, match="has 230 characters, and at most 229 are allowed"):
        registry_names.check(f"a{longest}")


ALPHABET = st.text(string.ascii_lowercase + string.digits + ".-:[]_/\\%@ A\n\x00\u00ed\u202e", max_size=40)
DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[A-Fa-f0-9:]+\])"
    r"(?::[0-9]+)?"
)
"""`domainAndPort` of the distribution project's references."""


@given(st.one_of(ALPHABET, st.text(max_size=40), st.from_regex(DOMAIN, fullmatch=True)))
def test_any_name_is_one_safe_directory_name_or_refused_in_printable_ascii(name):
    try:
        checked = registry_names.check(name, FIELD)
    except InvalidField as error:
        message = str(error)
    else:
        message = ""
        assert checked == name
        assert DOMAIN.fullmatch(name)
        assert not set(name) & set("/\\\0\n ")
        assert max(len(one) for one in directory_names(name)) < 256
        assert not name.startswith((".", "_"))
    assert all(" " <= character <= "~" for character in message)

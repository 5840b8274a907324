"""Which registries may be named."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import directory_names
from tests.unit.ca_tables import each
from tools.messages import registries

FIELD = "spec.registries[0]"


@each(registries.REFUSED)
def test_refused(case):
    with pytest.raises(InvalidField) as raised:
        registry_names.check(case.given, FIELD)

    assert ((raised.value.problem.reason,), raised.value.problem.field) == (case.reasons, FIELD)
    assert all(" " <= character <= "~" for character in str(raised.value))


def test_a_password_is_never_repeated():
    for name in ("user:hunter2@reg.example", "https://user:hunter2@reg.example/v2", "hunter2@reg.example\n"):
        with pytest.raises(InvalidField) as raised:
            registry_names.check(name, FIELD)

        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        pytest.param("registry:5000", "registry", "5000", id="one label with a port"),
        pytest.param("localhost:5000", "localhost", "5000", id="localhost with a port"),
        pytest.param("localhost", "localhost", "", id="localhost"),
        pytest.param("reg.example", "reg.example", "", id="a host without a port"),
        pytest.param("Reg.Example:5000", "Reg.Example", "5000", id="upper case, as references may have it"),
        pytest.param("[2001:DB8::1]:5000", "[2001:DB8::1]", "5000", id="an address in upper case"),
        pytest.param("REGISTRY", "REGISTRY", "", id="a word in upper case, which is no repository"),
        pytest.param("docker.io", "docker.io", "", id="Docker Hub"),
        pytest.param("reg.example:443", "reg.example", "443", id="port 443, which is another directory"),
        pytest.param("reg.example:65535", "reg.example", "65535", id="the last port"),
        pytest.param("[2001:db8::1]", "[2001:db8::1]", "", id="IPv6 without a port"),
        pytest.param("[2001:db8::1]:5000", "[2001:db8::1]", "5000", id="IPv6 with a port"),
        pytest.param("10.0.0.1:5000", "10.0.0.1", "5000", id="a canonical IPv4 address"),
        pytest.param("xn--regstry-9ya.example", "xn--regstry-9ya.example", "", id="the ASCII form of a name"),
        pytest.param("a--b.example", "a--b.example", "", id="two hyphens inside a label"),
        pytest.param("1.example", "1.example", "", id="a label of digits"),
        pytest.param("mirror.docker.io", "mirror.docker.io", "", id="a host below Docker Hub's name"),
    ],
)
def test_accepted_byte_for_byte(name, host, port):
    assert registry_names.check(name, FIELD) == name
    assert registry_names.split(name) == (host, port)


@pytest.mark.parametrize("name", ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"])
def test_loopback_is_where_runtimes_verify_nothing(name):
    assert registry_names.is_loopback(registry_names.check(name))


@pytest.mark.parametrize("name", ["reg.example", "localhost.example:5000", "10.127.0.1:5000", "[2001:db8::1]:5000"])
def test_other_hosts_are_no_loopback(name):
    assert not registry_names.is_loopback(registry_names.check(name))


def test_the_longest_name_is_accepted_and_one_more_is_not():
    longest = ".".join(["a" * 44] * 5) + ":5000"

    assert registry_names.check(longest) == longest
    assert len(longest) == registry_names.MAXIMUM_LENGTH
    with pytest.raises(InvalidField, match="has 230 characters, but at most 229 are allowed"):
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

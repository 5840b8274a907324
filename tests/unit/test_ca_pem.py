"""The text of `caCertificates`: which PEM is read, and what is said of what runtimes would drop."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import attempt, check_accepted, check_presentable, check_refused, each
from tools.messages import ca_pem
from tools.messages.material import read_roots
from tools.pki import root


@each(ca_pem.REFUSED)
def test_refused(case):
    check_refused(case)


@each(ca_pem.ACCEPTED)
def test_accepted(case):
    check_accepted(case)


def test_what_is_written_is_canonical_whatever_the_source_looked_like():
    tidy = read_roots(root().pem + root(1).pem)
    untidy = read_roots(b"# b\r\n" + root(1).pem.replace(b"\n", b" \r\n") + b"text\n" + root().pem + root().pem)

    assert tidy.pems == untidy.pems
    assert sorted(tidy.pems) == sorted([root().pem, root(1).pem])
    assert [facts.sha256 for facts in tidy.facts] == sorted(facts.sha256 for facts in tidy.facts)


PIECES = st.sampled_from(
    [
        root().pem,
        b"-----BEGIN CERTIFICATE-----",
        b"-----END CERTIFICATE-----",
        b"\n",
        b"\r",
        b" ",
        b"-",
        b"AAAA",
        b"Proc-Type: 4,ENCRYPTED",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=300), st.lists(PIECES | st.binary(max_size=8), max_size=12).map(b"".join)))
def test_any_bytes_are_accepted_whole_or_refused_in_printable_ascii(data):
    found = attempt(data)
    if isinstance(found, UnusableMaterial):
        check_presentable(found)
    else:
        assert found.pems == (root().pem,)

"""The text of `caCertificates`: which PEM is read, and what is said of what runtimes would drop (rows 46-62)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import (
    accepted,
    attempt,
    check_accepted,
    check_presentable,
    check_refused,
    read,
    refused,
    with_body_line,
)
from tools.der import armour
from tools.pki import Issued, curve_key, issue, root


def body_of(pem: bytes) -> bytes:
    return b"".join(pem.splitlines()[1:-1])


def numbered(number: int) -> Issued:
    return issue(f"Root {number}", curve_key(1000 + number), ca=True)


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        refused(
            "row 48: a UTF-8 byte order mark is refused",
            lambda: b"\xef\xbb\xbf" + root().pem,
            Reason.INVALID_PEM,
            "starts with U+FEFF (zero width no-break space), a byte order mark, for which runtimes don't "
            "see a first block; take it out: LC_ALL=C tr -cd '\\11\\12\\15\\40-\\176' < old.pem > ca.crt",
        ),
        refused(
            "row 49: UTF-16 with a byte order mark is refused",
            lambda: root().pem.decode().encode("utf-16"),
            Reason.INVALID_PEM,
            "is UTF-16 text; save it as ASCII: iconv -f UTF-16 -t US-ASCII ca.txt > ca.crt",
        ),
        refused(
            "row 49: UTF-16 without a byte order mark is refused",
            lambda: root().pem.decode().encode("utf-16-le"),
            Reason.INVALID_PEM,
            "is UTF-16 text; save it as ASCII: iconv -f UTF-16 -t US-ASCII ca.txt > ca.crt",
        ),
        refused(
            "row 50: line ends of CR alone are refused",
            lambda: root().pem.replace(b"\n", b"\r"),
            Reason.INVALID_PEM,
            "line 1: a line ends in CR alone, which runtimes don't take for the end of a line; write LF "
            "line ends: tr '\\r' '\\n' < old.pem > ca.crt",
        ),
        refused(
            "row 50: one CR alone among LF is refused",
            lambda: b"# a\n# b\rc\n" + root().pem,
            Reason.INVALID_PEM,
            "line 2: a line ends in CR alone, which runtimes don't take for the end of a line; write LF "
            "line ends: tr '\\r' '\\n' < old.pem > ca.crt",
        ),
        refused(
            "row 51: text before BEGIN on its line is refused",
            lambda: b"ca: " + root().pem,
            Reason.INVALID_PEM,
            "line 1: there is text before -----BEGIN on its line, so runtimes don't see the block; put "
            "a line break there",
        ),
        refused(
            "row 51: a space before BEGIN is refused",
            lambda: b"# CA\n " + root().pem,
            Reason.INVALID_PEM,
            "line 2: the BEGIN line is indented, so runtimes don't see the block; start every line in the first column",
        ),
        refused(
            "row 52: a block indented as in YAML is refused",
            lambda: b"".join(b"    " + line for line in root().pem.splitlines(keepends=True)),
            Reason.INVALID_PEM,
            "line 1: the BEGIN line is indented, so runtimes don't see the block; start every line in the first column",
        ),
        refused(
            "row 52: an indented body is refused",
            lambda: with_body_line(lambda line: b"  " + line),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1, in line 3: is indented; start every line in the first column",
        ),
        refused(
            "row 52: an indented END is refused",
            lambda: root().pem.replace(b"-----END", b"  -----END"),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1, to line 9: has an indented END line; start every line in the first column",
        ),
        refused(
            "row 53: END glued to the next BEGIN is refused",
            lambda: root().pem.rstrip() + root(1).pem,
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1, to line 9: END of one block and BEGIN of the next stand on one "
            "line, so runtimes drop both; put a line break there",
        ),
        refused(
            "row 54: header lines in a certificate are refused",
            lambda: root().pem.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nComment: the CA\n\n", 1),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1: has header lines, for which runtimes drop the block; take them "
            "out: grep -v : old.pem > ca.crt",
        ),
        refused(
            "row 55: the label X509 CERTIFICATE is refused",
            lambda: armour(root().der, "X509 CERTIFICATE"),
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "X509 CERTIFICATE", not "CERTIFICATE"; runtimes drop '
            "it; convert it: openssl crl2pkcs7 -nocrl -certfile old.pem | openssl pkcs7 -print_certs "
            "-out ca.crt",
        ),
        refused(
            "row 56: the label TRUSTED CERTIFICATE is refused",
            lambda: root().pem + armour(root(1).der, "TRUSTED CERTIFICATE"),
            Reason.INVALID_PEM,
            'block 2 of 2, line 10: has the label "TRUSTED CERTIFICATE", not "CERTIFICATE"; runtimes '
            "drop it; convert it: openssl crl2pkcs7 -nocrl -certfile old.pem | openssl pkcs7 "
            "-print_certs -out ca.crt",
        ),
        refused(
            "row 57: an END with six dashes is refused",
            lambda: root().pem.replace(b"-----END CERTIFICATE-----", b"------END CERTIFICATE------"),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1, to line 9: has a damaged END line; it has exactly five dashes "
            "on both sides and its own line",
        ),
        refused(
            "row 57: an END with four dashes is refused",
            lambda: root().pem.replace(b"-----END CERTIFICATE-----", b"----END CERTIFICATE----"),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1: has no END line; copy the block again, whole",
        ),
        refused(
            "row 57: a BEGIN with four dashes is refused",
            lambda: root().pem + root(1).pem.replace(b"-----BEGIN", b"----BEGIN"),
            Reason.INVALID_PEM,
            "line 10: a damaged BEGIN or END line; it has exactly five dashes on both sides and upper "
            'case, as in "-----BEGIN CERTIFICATE-----"',
        ),
        refused(
            "row 57: dashes that a word processor made are refused",
            lambda: root().pem.decode().replace("-----", "\u2013" * 5).encode(),
            Reason.INVALID_PEM,
            "line 1: a damaged BEGIN or END line; it has exactly five dashes on both sides and upper "
            'case, as in "-----BEGIN CERTIFICATE-----"',
        ),
        refused(
            "row 57: a marker in lower case is refused",
            lambda: root().pem.replace(b"BEGIN CERTIFICATE", b"begin certificate"),
            Reason.INVALID_PEM,
            "line 1: a damaged BEGIN or END line; it has exactly five dashes on both sides and upper "
            'case, as in "-----BEGIN CERTIFICATE-----"',
        ),
        refused(
            "row 57: an END without a BEGIN is refused",
            lambda: root().pem + b"\n".join(root(1).pem.split(b"\n")[1:]),
            Reason.INVALID_PEM,
            "line 17: an END line without a BEGIN line before it; copy the block again, whole",
        ),
        refused(
            "row 57: an END of another label is refused",
            lambda: root().pem.replace(b"END CERTIFICATE", b"END X509 CRL"),
            Reason.INVALID_PEM,
            'certificate 1 of 1, line 1, to line 9: ends with the label "X509 CRL"; copy it again',
        ),
        refused(
            "row 58: a no-break space in the body is refused",
            lambda: with_body_line(lambda line: line[:8] + b"\xc2\xa0" + line[8:]),
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1, in line 3: has the invisible character U+00A0 (no-break space) "
            "in column 9; take it out: LC_ALL=C tr -cd '\\11\\12\\15\\40-\\176' < old.pem > ca.crt",
        ),
        refused(
            "row 59: a second block without END is refused",
            lambda: root().pem + b"\n".join(root(1).pem.split(b"\n")[:4]),
            Reason.INVALID_PEM,
            "certificate 2 of 2, line 10: has no END line; copy the block again, whole",
        ),
        refused(
            "row 59: a first block without END is refused",
            lambda: b"\n".join(root().pem.split(b"\n")[:-2]) + b"\n" + root(1).pem,
            Reason.INVALID_PEM,
            "certificate 1 of 2, line 1, to line 9: has no END line before the next BEGIN; copy it again, whole",
        ),
        refused(
            "row 60: bad base64 in a second block is refused",
            lambda: root().pem + with_body_line(lambda line: b"?" + line[1:]),
            Reason.INVALID_PEM,
            "certificate 2 of 2, line 10, in line 12: has a byte that is not base64 (0x3F); copy the "
            "block again, as text",
        ),
        refused(
            "row 60: base64 that lacks characters is refused",
            lambda: root().pem + with_body_line(lambda line: line[1:]),
            Reason.INVALID_PEM,
            "certificate 2 of 2, line 10: has base64 text of a wrong length, so something is missing; copy it again",
        ),
    ],
)
def test_refused(data, reason, message):
    check_refused(data(), reason, message)


@pytest.mark.parametrize(
    ("data", "count", "warnings"),
    [
        accepted("two roots are accepted", lambda: root().pem + root(1).pem, 2),
        accepted("row 46: CRLF is accepted", lambda: root().pem.replace(b"\n", b"\r\n"), 1),
        accepted(
            "row 47: comments and the text of openssl are left out",
            lambda: (
                b"# Corp\nCertificate:\n    Data:\n        Version: 3 (0x2)\n"
                + root().pem
                + b"\n# the next\n"
                + root(1).pem
            ),
            2,
        ),
        accepted("row 47: a value without a line break at its end is accepted", root().pem.rstrip, 1),
        accepted(
            "row 57: white space after a marker is accepted", lambda: root().pem.replace(b"-----\n", b"----- \t\n"), 1
        ),
        accepted("row 62: a blank line in the body is accepted", lambda: with_body_line(lambda line: line + b"\n"), 1),
        accepted(
            "row 62: a body of one line is accepted",
            lambda: armour(b"").replace(b"\n", b"\n" + body_of(root().pem) + b"\n", 1),
            1,
        ),
        accepted(
            "row 85: a certificate that stands there twice is taken once", lambda: root().pem * 2 + root(1).pem, 2
        ),
        accepted("row 124: 151 certificates are accepted", lambda: b"".join(numbered(n).pem for n in range(151)), 151),
    ],
)
def test_accepted(data, count, warnings):
    check_accepted(data(), count, warnings)


def test_what_is_written_is_canonical_whatever_the_source_looked_like():
    tidy = read(root().pem + root(1).pem)
    untidy = read(b"# b\r\n" + root(1).pem.replace(b"\n", b" \r\n") + b"text\n" + root().pem + root().pem)

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

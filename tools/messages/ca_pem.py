"""The text of CA certificates: which PEM is read, and what runtimes would drop."""

from __future__ import annotations

from registry_trust.core.reasons import Reason
from tools.der import armour
from tools.messages.cases import Table, accepted, refused
from tools.messages.material import with_body_line
from tools.pki import Issued, curve_key, issue, root


def body_of(pem: bytes) -> bytes:
    return b"".join(pem.splitlines()[1:-1])


def numbered(number: int) -> Issued:
    return issue(f"Root {number}", curve_key(1000 + number), ca=True)


REFUSED: Table = (
    refused("a UTF-8 byte order mark is refused", lambda: b"\xef\xbb\xbf" + root().pem, Reason.INVALID_PEM),
    refused(
        "UTF-16 with a byte order mark is refused",
        lambda: root().pem.decode().encode("utf-16"),
        Reason.INVALID_PEM,
    ),
    refused(
        "UTF-16 without a byte order mark is refused",
        lambda: root().pem.decode().encode("utf-16-le"),
        Reason.INVALID_PEM,
    ),
    refused("line ends of CR alone are refused", lambda: root().pem.replace(b"\n", b"\r"), Reason.INVALID_PEM),
    refused("one CR alone among LF is refused", lambda: b"# a\n# b\rc\n" + root().pem, Reason.INVALID_PEM),
    refused("text before BEGIN on its line is refused", lambda: b"ca: " + root().pem, Reason.INVALID_PEM),
    refused("a space before BEGIN is refused", lambda: b"# CA\n " + root().pem, Reason.INVALID_PEM),
    refused(
        "a block indented as in YAML is refused",
        lambda: b"".join(b"    " + line for line in root().pem.splitlines(keepends=True)),
        Reason.INVALID_PEM,
    ),
    refused("an indented body is refused", lambda: with_body_line(lambda line: b"  " + line), Reason.INVALID_PEM),
    refused("an indented END is refused", lambda: root().pem.replace(b"-----END", b"  -----END"), Reason.INVALID_PEM),
    refused("END glued to the next BEGIN is refused", lambda: root().pem.rstrip() + root(1).pem, Reason.INVALID_PEM),
    refused(
        "header lines in a certificate are refused",
        lambda: root().pem.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nComment: the CA\n\n", 1),
        Reason.INVALID_PEM,
    ),
    refused(
        "the label X509 CERTIFICATE is refused",
        lambda: armour(root().der, "X509 CERTIFICATE"),
        Reason.INVALID_PEM,
    ),
    refused(
        "the label TRUSTED CERTIFICATE is refused",
        lambda: root().pem + armour(root(1).der, "TRUSTED CERTIFICATE"),
        Reason.INVALID_PEM,
    ),
    refused(
        "an END with six dashes is refused",
        lambda: root().pem.replace(b"-----END CERTIFICATE-----", b"------END CERTIFICATE------"),
        Reason.INVALID_PEM,
    ),
    refused(
        "an END with four dashes is refused",
        lambda: root().pem.replace(b"-----END CERTIFICATE-----", b"----END CERTIFICATE----"),
        Reason.INVALID_PEM,
    ),
    refused(
        "a BEGIN with four dashes is refused",
        lambda: root().pem + root(1).pem.replace(b"-----BEGIN", b"----BEGIN"),
        Reason.INVALID_PEM,
    ),
    refused(
        "dashes that a word processor made are refused",
        lambda: root().pem.decode().replace("-----", "\u2013" * 5).encode(),
        Reason.INVALID_PEM,
    ),
    refused(
        "a marker in lower case is refused",
        lambda: root().pem.replace(b"BEGIN CERTIFICATE", b"begin certificate"),
        Reason.INVALID_PEM,
    ),
    refused(
        "an END without a BEGIN is refused",
        lambda: root().pem + b"\n".join(root(1).pem.split(b"\n")[1:]),
        Reason.INVALID_PEM,
    ),
    refused(
        "an END of another label is refused",
        lambda: root().pem.replace(b"END CERTIFICATE", b"END X509 CRL"),
        Reason.INVALID_PEM,
    ),
    refused(
        "a no-break space in the body is refused",
        lambda: with_body_line(lambda line: line[:8] + b"\xc2\xa0" + line[8:]),
        Reason.INVALID_PEM,
    ),
    refused(
        "a second block without END is refused",
        lambda: root().pem + b"\n".join(root(1).pem.split(b"\n")[:4]),
        Reason.INVALID_PEM,
    ),
    refused(
        "a first block without END is refused",
        lambda: b"\n".join(root().pem.split(b"\n")[:-2]) + b"\n" + root(1).pem,
        Reason.INVALID_PEM,
    ),
    refused(
        "bad base64 in a second block is refused",
        lambda: root().pem + with_body_line(lambda line: b"?" + line[1:]),
        Reason.INVALID_PEM,
    ),
    refused(
        "base64 that lacks characters is refused",
        lambda: root().pem + with_body_line(lambda line: line[1:]),
        Reason.INVALID_PEM,
    ),
)

ACCEPTED: Table = (
    accepted("two roots are accepted", lambda: root().pem + root(1).pem, count=2),
    accepted("CRLF is accepted", lambda: root().pem.replace(b"\n", b"\r\n")),
    accepted(
        "comments and the text of openssl are left out",
        lambda: (
            b"# Corp\nCertificate:\n    Data:\n        Version: 3 (0x2)\n"
            + root().pem
            + b"\n# the next\n"
            + root(1).pem
        ),
        count=2,
    ),
    accepted("a value without a line break at its end is accepted", root().pem.rstrip),
    accepted("white space after a marker is accepted", lambda: root().pem.replace(b"-----\n", b"----- \t\n")),
    accepted("a blank line in the body is accepted", lambda: with_body_line(lambda line: line + b"\n")),
    accepted(
        "a body of one line is accepted",
        lambda: armour(b"").replace(b"\n", b"\n" + body_of(root().pem) + b"\n", 1),
    ),
    accepted("a certificate that appears twice is taken once", lambda: root().pem * 2 + root(1).pem, count=2),
    accepted("151 certificates are accepted", lambda: b"".join(numbered(n).pem for n in range(151)), count=151),
)

"""CA certificates of every shape, refused or accepted."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.messages.cases import Table, accepted, refused
from tools.messages.material import plain_ca
from tools.pki import issue, root


def sha1_intermediate() -> bytes:
    sha1 = der.sequence(der.oid("1.2.840.10045.4.1"))
    return armour(handmade(algorithm=sha1, issuer=der.distinguished(b"Old Root")))


REFUSED: Table = (
    refused(
        "a certificate of version 1 from another issuer is refused",
        lambda: armour(handmade(version=0, issuer=der.distinguished(b"Other CA"))),
        Reason.NOT_CA,
    ),
    refused(
        "a self-signed certificate without basicConstraints and names is refused",
        lambda: issue("Bare Root", pki.curve_key(9)).pem,
        Reason.NOT_CA,
    ),
    refused("a CA whose keyUsage lacks keyCertSign is refused", lambda: plain_ca(signs=False).pem, Reason.NOT_CA),
    refused(
        "a client's certificate, issued by a CA, is refused",
        lambda: issue("node", pki.curve_key(8), issuer=root(), names=("node",), usages=(pki.CLIENT_AUTH,)).pem,
        Reason.NOT_CA,
    ),
    refused(
        "an unknown critical extension is refused",
        lambda: armour(handmade(extensions=(der.IS_CA, extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True)))),
        Reason.UNSUPPORTED_EXTENSION,
    ),
    refused(
        "critical name constraints on a directory name are refused",
        lambda: plain_ca(more=((x509.NameConstraints([x509.DirectoryName(pki.name("Corp"))], None), True),)).pem,
        Reason.UNSUPPORTED_EXTENSION,
    ),
    refused(
        "the only CA, expired, is refused",
        lambda: plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - timedelta(days=1)).pem,
        Reason.EXPIRED,
    ),
    refused(
        "two CAs, both expired, are refused",
        lambda: (
            plain_ca(not_before=pki.NOW - 3 * pki.YEAR, not_after=pki.NOW - 2 * pki.YEAR).pem
            + issue(
                "Old Root",
                pki.curve_key(6),
                ca=True,
                not_before=pki.NOW - 2 * pki.YEAR,
                not_after=pki.NOW - pki.YEAR,
            ).pem
        ),
        Reason.EXPIRED,
    ),
)

ACCEPTED: Table = (
    accepted("a root with the serial number 0 is accepted", lambda: armour(handmade(serial=b"\0"))),
    accepted(
        "an intermediate with the serial number 0 is accepted with a warning",
        lambda: root().pem + armour(handmade(serial=b"\0", issuer=root().certificate.subject.public_bytes())),
        Reason.CERTIFICATE_PARSE,
        count=2,
    ),
    accepted("P-224 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP224R1()), ca=True).pem),
    accepted("P-384 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP384R1()), ca=True).pem),
    accepted("P-521 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP521R1()), ca=True).pem),
    accepted("Ed25519 is accepted", lambda: issue("R", pki.ed25519_key(), ca=True).pem),
    accepted("RSA of 2048 bits is accepted", lambda: issue("R", pki.rsa_key(), ca=True).pem),
    accepted(
        "RSA of 1024 bits is accepted with a warning",
        lambda: armour(handmade(key=der.rsa_spki(1024))),
        Reason.WEAK_KEY,
    ),
    accepted(
        "RSA of 16384 bits is accepted with a warning",
        lambda: armour(handmade(key=der.rsa_spki(16384))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    accepted(
        "an intermediate signed with SHA-1 is accepted as the anchor that it becomes",
        sha1_intermediate,
        Reason.INTERMEDIATE_AS_ROOT,
    ),
    accepted(
        "a root signed with SHA-1 is accepted",
        lambda: armour(handmade(algorithm=der.sequence(der.oid("1.2.840.10045.4.1")))),
    ),
    accepted("a root of version 1 is accepted", lambda: armour(handmade(version=0))),
    accepted(
        "a CA for clientAuth alone is accepted with a warning",
        lambda: plain_ca(usages=(pki.CLIENT_AUTH,)).pem,
        Reason.KEY_USAGE,
    ),
    accepted(
        "name constraints that permit the host are accepted",
        lambda: plain_ca(more=((x509.NameConstraints([x509.DNSName("corp.example")], None), True),)).pem,
    ),
    accepted(
        "name constraints that permit other hosts are accepted with a warning",
        lambda: plain_ca(more=((x509.NameConstraints([x509.DNSName("corp.test")], None), True),)).pem,
        Reason.NAME_CONSTRAINT,
    ),
    accepted(
        "name constraints that exclude the host are accepted with a warning",
        lambda: plain_ca(more=((x509.NameConstraints(None, [x509.DNSName(".corp.example")]), True),)).pem,
        Reason.NAME_CONSTRAINT,
    ),
    accepted(
        "an intermediate without its root is accepted with a warning",
        lambda: issue("Issuing CA", pki.curve_key(21), issuer=root(), ca=True).pem,
        Reason.INTERMEDIATE_AS_ROOT,
    ),
    accepted(
        "an intermediate beside its root is accepted",
        lambda: issue("Issuing CA", pki.curve_key(21), issuer=root(), ca=True).pem + root().pem,
        count=2,
    ),
    accepted(
        "an expired CA beside a valid one is accepted with a warning",
        lambda: root().pem + plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR).pem,
        Reason.EXPIRED,
        count=2,
    ),
    accepted(
        "a CA that is not valid yet is accepted with a warning",
        lambda: plain_ca(not_before=pki.NOW + timedelta(hours=1)).pem,
        Reason.NOT_YET_VALID,
    ),
    accepted(
        "two certificates of one key and subject are both kept",
        lambda: root().pem + issue("Corp Root 0", root().key, issuer=root(1), ca=True).pem + root(1).pem,
        count=3,
    ),
    accepted("the year 9999 is accepted", lambda: armour(handmade(not_after=b"99991231235959Z"))),
    accepted(
        "the year 1950 beside a valid CA is accepted with a warning",
        lambda: root().pem + armour(handmade(not_before=b"500101000000Z", not_after=b"500601000000Z")),
        Reason.EXPIRED,
        count=2,
    ),
)

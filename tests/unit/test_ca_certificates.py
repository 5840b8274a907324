"""What may stand in `caCertificates`: a certificate, its verdict, and the whole sentence about it (rows 69-88)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from registry_trust.certificates.facts import CertificateKind, read_facts
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import accepted, check_accepted, check_refused, plain_ca, read, refused
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.pki import issue, root


def sha1_intermediate() -> bytes:
    sha1 = der.sequence(der.oid("1.2.840.10045.4.1"))
    return armour(handmade(algorithm=sha1, issuer=der.distinguished(b"Old Root")))


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        refused(
            "row 77: a certificate of version 1 from another issuer is refused",
            lambda: armour(handmade(version=0, issuer=der.distinguished(b"Other CA"))),
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=Hand Made" is not a CA certificate (issued by "CN=Other '
            "CA\", it lacks the mark CA:TRUE), and as the registry's own certificate runtimes refuse it, "
            "since it has no subjectAltName; put that CA's certificate here. To see which it is: openssl "
            "x509 -in ca.crt -noout -subject -issuer -ext basicConstraints,keyUsage",
        ),
        refused(
            "row 79: a self-signed certificate without basicConstraints and names is refused",
            lambda: issue("Bare Root", pki.curve_key(9)).pem,
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=Bare Root" is not a CA certificate (issued by itself, it '
            "lacks the mark CA:TRUE), and as the registry's own certificate runtimes refuse it, since it "
            "has no subjectAltName; make it again: openssl req -x509 -newkey rsa:4096 -noenc -keyout "
            'registry.key -out ca.crt -days 365 -subj "/CN=harbor.corp.example" -addext '
            '"subjectAltName=DNS:harbor.corp.example"',
        ),
        refused(
            "row 79: a CA whose keyUsage lacks keyCertSign is refused",
            lambda: plain_ca(signs=False).pem,
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=Shaped Root" is not a CA certificate (issued by itself, it '
            "lacks keyCertSign in its keyUsage), and as the registry's own certificate runtimes refuse "
            "it, since it has no subjectAltName; make it again: openssl req -x509 -newkey rsa:4096 "
            '-noenc -keyout registry.key -out ca.crt -days 365 -subj "/CN=harbor.corp.example" -addext '
            '"subjectAltName=DNS:harbor.corp.example"',
        ),
        refused(
            "row 77: a client's certificate, issued by a CA, is refused",
            lambda: issue("node", pki.curve_key(8), issuer=root(), names=("node",), usages=(pki.CLIENT_AUTH,)).pem,
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=node" is not a CA certificate (issued by "CN=Corp Root 0", it lacks the '
            "mark CA:TRUE), and as the registry's own certificate runtimes refuse it, since it is for other uses than "
            "serverAuth; put that CA's certificate here. To see which it is: openssl x509 -in ca.crt -noout -subject "
            "-issuer -ext basicConstraints,keyUsage",
        ),
        refused(
            "row 80: an unknown critical extension is refused",
            lambda: armour(
                handmade(extensions=(der.IS_CA, extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True)))
            ),
            Reason.UNSUPPORTED_EXTENSION,
            'certificate 1 of 1, line 1: "CN=Hand Made" has a critical extension that runtimes don\'t '
            "know or don't all honour (1.3.6.1.4.1.99999.1), so they refuse every chain through it; have "
            "it reissued without that extension",
        ),
        refused(
            "row 80: critical name constraints on a directory name are refused",
            lambda: plain_ca(more=((x509.NameConstraints([x509.DirectoryName(pki.name("Corp"))], None), True),)).pem,
            Reason.UNSUPPORTED_EXTENSION,
            'certificate 1 of 1, line 1: "CN=Shaped Root" has a critical extension that runtimes don\'t '
            "know or don't all honour (2.5.29.30), so they refuse every chain through it; have it "
            "reissued without that extension",
        ),
        refused(
            "row 84: the only CA, expired, is refused",
            lambda: plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - timedelta(days=1)).pem,
            Reason.EXPIRED,
            'certificate 1 of 1, line 1: "CN=Shaped Root" expired on 2026-05-31T12:00:00Z, and '
            "runtimes accept nothing that it issued; put the CA's current certificate here",
        ),
        refused(
            "row 84: two CAs, both expired, are refused",
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
            'certificate 2 of 2, line 10: "CN=Old Root" expired on 2025-06-01T12:00:00Z, as did the '
            "other, and runtimes accept nothing that it issued; put the CA's current certificate here",
        ),
    ],
)
def test_refused(data, reason, message):
    check_refused(data(), reason, message)


@pytest.mark.parametrize(
    ("data", "count", "warnings"),
    [
        accepted("row 69: a root with the serial number 0 is accepted", lambda: armour(handmade(serial=b"\0")), 1),
        accepted(
            "row 69: an intermediate with the serial number 0 is accepted with a warning",
            lambda: root().pem + armour(handmade(serial=b"\0", issuer=root().certificate.subject.public_bytes())),
            2,
            (
                Reason.CERTIFICATE_PARSE,
                (
                    'certificate 2 of 2, line 10: "CN=Hand Made" has the serial number 0, which some programs '
                    "refuse; have it issued anew"
                ),
            ),
        ),
        accepted("row 71: P-224 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP224R1()), ca=True).pem, 1),
        accepted("row 71: P-384 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP384R1()), ca=True).pem, 1),
        accepted("row 71: P-521 is accepted", lambda: issue("R", pki.curve_key(5, ec.SECP521R1()), ca=True).pem, 1),
        accepted("row 71: Ed25519 is accepted", lambda: issue("R", pki.ed25519_key(), ca=True).pem, 1),
        accepted("row 74: RSA of 2048 bits is accepted", lambda: issue("R", pki.rsa_key(), ca=True).pem, 1),
        accepted(
            "row 74: RSA of 1024 bits is accepted with a warning",
            lambda: armour(handmade(key=der.rsa_spki(1024))),
            1,
            (
                Reason.WEAK_KEY,
                (
                    'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 1024 bits; have it issued '
                    "anew with 2048 bits or more"
                ),
            ),
        ),
        accepted(
            "row 75: RSA of 16384 bits is accepted with a warning",
            lambda: armour(handmade(key=der.rsa_spki(16384))),
            1,
            (
                Reason.UNSUPPORTED_ALGORITHM,
                (
                    'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 16384 bits; runtimes refuse '
                    "it if the registry sends it along"
                ),
            ),
        ),
        accepted(
            "row 76: an intermediate signed with SHA-1 is accepted as the anchor that it becomes",
            sha1_intermediate,
            1,
            (
                Reason.INTERMEDIATE_AS_ROOT,
                (
                    'certificate 1 of 1, line 1: "CN=Hand Made" is an intermediate CA, issued by "CN=Old '
                    "Root\", and is trusted as a root: it works until the registry's certificate comes from "
                    "another intermediate; use the root where you can"
                ),
            ),
        ),
        accepted(
            "row 76: a root signed with SHA-1 is accepted",
            lambda: armour(handmade(algorithm=der.sequence(der.oid("1.2.840.10045.4.1")))),
            1,
        ),
        accepted("row 77: a root of version 1 is accepted", lambda: armour(handmade(version=0)), 1),
        accepted(
            "row 81: a CA for clientAuth alone is accepted with a warning",
            lambda: plain_ca(usages=(pki.CLIENT_AUTH,)).pem,
            1,
            (
                Reason.KEY_USAGE,
                (
                    'certificate 1 of 1, line 1: "CN=Shaped Root" is for other uses than serverAuth, so '
                    "runtimes refuse a registry's certificate from it"
                ),
            ),
        ),
        accepted(
            "row 81: name constraints that permit the host are accepted",
            lambda: plain_ca(more=((x509.NameConstraints([x509.DNSName("corp.example")], None), True),)).pem,
            1,
        ),
        accepted(
            "row 81: name constraints that permit other hosts are accepted with a warning",
            lambda: plain_ca(more=((x509.NameConstraints([x509.DNSName("corp.test")], None), True),)).pem,
            1,
            (
                Reason.NAME_CONSTRAINT,
                (
                    'certificate 1 of 1, line 1: "CN=Shaped Root" has name constraints that exclude '
                    "harbor.corp.example:5000; use the CA that may issue for it"
                ),
            ),
        ),
        accepted(
            "row 81: name constraints that exclude the host are accepted with a warning",
            lambda: plain_ca(more=((x509.NameConstraints(None, [x509.DNSName(".corp.example")]), True),)).pem,
            1,
            (
                Reason.NAME_CONSTRAINT,
                (
                    'certificate 1 of 1, line 1: "CN=Shaped Root" has name constraints that exclude '
                    "harbor.corp.example:5000; use the CA that may issue for it"
                ),
            ),
        ),
        accepted(
            "row 83: an intermediate without its root is accepted with a warning",
            lambda: issue("Issuing CA", pki.curve_key(21), issuer=root(), ca=True).pem,
            1,
            (
                Reason.INTERMEDIATE_AS_ROOT,
                (
                    'certificate 1 of 1, line 1: "CN=Issuing CA" is an intermediate CA, issued by "CN=Corp '
                    "Root 0\", and is trusted as a root: it works until the registry's certificate comes from "
                    "another intermediate; use the root where you can"
                ),
            ),
        ),
        accepted(
            "row 83: an intermediate beside its root is accepted",
            lambda: issue("Issuing CA", pki.curve_key(21), issuer=root(), ca=True).pem + root().pem,
            2,
        ),
        accepted(
            "row 84: an expired CA beside a valid one is accepted with a warning",
            lambda: root().pem + plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR).pem,
            2,
            (
                Reason.EXPIRED,
                'certificate 2 of 2, line 10: "CN=Shaped Root" expired on 2025-06-01T12:00:00Z; replace it',
            ),
        ),
        accepted(
            "row 84: a CA that is not valid yet is accepted with a warning",
            lambda: plain_ca(not_before=pki.NOW + timedelta(hours=1)).pem,
            1,
            (
                Reason.NOT_YET_VALID,
                (
                    'certificate 1 of 1, line 1: "CN=Shaped Root" is not valid before 2026-06-01T13:00:00Z; '
                    "check the date, and the clocks of the nodes"
                ),
            ),
        ),
        accepted(
            "row 86: two certificates of one key and subject are both kept",
            lambda: root().pem + issue("Corp Root 0", root().key, issuer=root(1), ca=True).pem + root(1).pem,
            3,
        ),
        accepted(
            "row 88: the year 9999 is accepted",
            lambda: armour(handmade(not_after=b"99991231235959Z")),
            1,
        ),
        accepted(
            "row 88: the year 1950 beside a valid CA is accepted with a warning",
            lambda: root().pem + armour(handmade(not_before=b"500101000000Z", not_after=b"500601000000Z")),
            2,
            (Reason.EXPIRED, 'certificate 2 of 2, line 10: "CN=Hand Made" expired on 1950-06-01T00:00:00Z; replace it'),
        ),
    ],
)
def test_accepted(data, count, warnings):
    check_accepted(data(), count, warnings)


def test_facts_are_those_of_the_certificate():
    (facts,) = read(root().pem).facts
    certificate = root().certificate

    assert facts.kind is CertificateKind.CA
    assert facts.subject == facts.issuer == "CN=Corp Root 0"
    assert facts.serial_number == "1234"
    assert facts.sha256 == certificate.fingerprint(hashes.SHA256()).hex()
    assert (facts.not_before, facts.not_after) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    assert facts.not_after.tzinfo is not None


def test_row_87_a_hostile_subject_is_shown_in_printable_ascii_and_cut():
    hostile = 'a\nb\x1b[31m\u202e,"\\' + "x" * 12_000
    (facts,) = read(armour(handmade(subject=der.distinguished(hostile.encode())))).facts

    assert facts.subject.startswith('CN=a\\nb\\x1b[31m\\u202e\\,\\"\\\\xxx')
    assert len(facts.subject) == 256
    assert all(" " <= character <= "~" for character in facts.subject)


def test_facts_of_a_served_certificate_can_be_read_after_it_expired():
    expired = plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR)

    assert [facts.subject for facts in read_facts(expired.pem, CertificateKind.CA)] == ["CN=Shaped Root"]

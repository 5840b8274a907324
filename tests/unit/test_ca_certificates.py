"""What may stand in `caCertificates`: a certificate, its verdict, and the whole sentence about it."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

from registry_trust.certificates.facts import CertificateKind, read_facts
from tests.unit.ca_tables import check_accepted, check_refused, each
from tools import der, pki
from tools.der import armour, handmade
from tools.messages import ca_certificates
from tools.messages.material import plain_ca, read_roots
from tools.pki import root


@each(ca_certificates.REFUSED)
def test_refused(case):
    check_refused(case)


@each(ca_certificates.ACCEPTED)
def test_accepted(case):
    check_accepted(case)


def test_facts_are_those_of_the_certificate():
    (facts,) = read_roots(root().pem).facts
    certificate = root().certificate

    assert facts.kind is CertificateKind.CA
    assert facts.subject == facts.issuer == "CN=Corp Root 0"
    assert facts.serial_number == "1234"
    assert facts.sha256 == certificate.fingerprint(hashes.SHA256()).hex()
    assert (facts.not_before, facts.not_after) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    assert facts.not_after.tzinfo is not None


def test_a_hostile_subject_is_shown_in_printable_ascii_and_cut():
    hostile = 'a\nb\x1b[31m\u202e,"\\' + "x" * 12_000
    (facts,) = read_roots(armour(handmade(subject=der.distinguished(hostile.encode())))).facts

    assert facts.subject.startswith('CN=a\\nb\\x1b[31m\\u202e\\,\\"\\\\xxx')
    assert len(facts.subject) == 256
    assert all(" " <= character <= "~" for character in facts.subject)


def test_facts_of_a_served_certificate_can_be_read_after_it_expired():
    expired = plain_ca(not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR)

    assert [facts.subject for facts in read_facts(expired.pem, CertificateKind.CA)] == ["CN=Shaped Root"]

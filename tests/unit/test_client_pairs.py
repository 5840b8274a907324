"""What may stand in `clientCertificates`: a pair, its verdict, and the whole sentence."""

from __future__ import annotations

import hashlib
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from registry_trust.certificates.facts import CertificateKind
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import each
from tests.unit.client_tables import check_refused
from tools import pki
from tools.der import armour
from tools.messages import client_pairs
from tools.messages.material import CERTIFICATE_PLACE, KEY_PLACE, PAIR_FIELD, own_key, read_pair
from tools.pki import client, root


@each(client_pairs.REFUSED)
def test_refused(case):
    check_refused(case)


@each(client_pairs.ACCEPTED)
def test_accepted(case):
    certificate, key = case.given()
    pair = read_pair(certificate, key)

    assert tuple(warning.reason for warning in pair.warnings) == case.reasons
    assert {warning.field for warning in pair.warnings} <= {PAIR_FIELD}
    assert pair.certificate == b"".join(
        armour(block.public_bytes(pki.DER)) for block in x509.load_pem_x509_certificates(certificate)
    )
    assert pair.key.reveal().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert serialization.load_pem_private_key(pair.key.reveal(), None).public_key() == (
        x509.load_pem_x509_certificate(certificate).public_key()
    )


def test_the_pair_that_dockers_page_makes_is_accepted(tmp_path):
    key, certificate = tmp_path / "client.key", tmp_path / "client.cert"
    for command in (
        ["openssl", "genrsa", "-out", str(key), "4096"],
        ["openssl", "req", "-new", "-x509", "-text", "-subj", "/CN=node", "-key", str(key), "-out", str(certificate)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    pair = read_client_pair(
        certificate.read_bytes(),
        key.read_bytes(),
        field=PAIR_FIELD,
        certificate_place=CERTIFICATE_PLACE,
        key_place=KEY_PLACE,
        now=x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_before_utc,
    )

    assert certificate.read_bytes().startswith(b"Certificate:")
    assert pair.certificate.startswith(b"-----BEGIN CERTIFICATE-----\n")
    assert [facts.subject for facts in pair.facts] == ["CN=node"]
    assert [warning.reason for warning in pair.warnings] == [Reason.KEY_USAGE]


def test_facts_follow_the_chain():
    pair = read_pair(client().pem + root().pem, own_key())

    assert [(facts.kind, facts.subject) for facts in pair.facts] == [
        (CertificateKind.CLIENT, "CN=node 0"),
        (CertificateKind.CLIENT, "CN=Corp Root 0"),
    ]
    assert pair.facts[0].spki_sha256 == hashlib.sha256(pki.spki(client().key)).hexdigest()

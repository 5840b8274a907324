"""The tests' own PKI: what the other tests take for granted of it."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tools import der, pki
from tools.der import armour, handmade
from tools.pki import client, issue, root


def test_keys_on_curves_are_the_same_in_every_run():
    assert hashlib.sha256(pki.pkcs8(pki.curve_key(1))).hexdigest().startswith("e8babde18699c6e3")
    assert pki.pkcs8(pki.curve_key(1)) == pki.pkcs8(pki.curve_key(1))
    assert pki.pkcs8(pki.curve_key(1)) != pki.pkcs8(pki.curve_key(2))


def test_certificates_are_the_same_whenever_they_are_issued():
    again = issue("Corp Root 0", pki.curve_key(0), ca=True, signs=True)

    assert again.der == root().der


def test_the_client_is_issued_by_the_root():
    client().certificate.verify_directly_issued_by(root().certificate)
    constraints = client().certificate.extensions.get_extension_for_class(x509.BasicConstraints)

    assert not constraints.value.ca
    assert root().certificate.not_valid_before_utc < pki.NOW < root().certificate.not_valid_after_utc


def test_a_certificate_made_by_hand_is_one_that_the_library_reads():
    certificate = x509.load_der_x509_certificate(handmade())

    assert certificate.subject == pki.name("Hand Made") == certificate.issuer
    assert certificate.serial_number == 5
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("bits", [1024, 2048])
def test_an_rsa_key_made_by_hand_has_its_size(bits):
    assert serialization.load_der_public_key(der.rsa_spki(bits)).key_size == bits


def test_armour_is_the_pem_that_the_library_writes():
    assert armour(root().der) == root().pem

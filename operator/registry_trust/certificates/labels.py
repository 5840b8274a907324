"""Labels: what a PEM block that is no certificate means where a certificate was expected, and what to do about it."""

from __future__ import annotations

from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import CERTIFICATE, Block
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

_ADVICE = {
    "X509 CERTIFICATE": "runtimes drop it; rename it: openssl x509 -in old.crt -out ca.crt",
    "TRUSTED CERTIFICATE": "runtimes drop it; convert it: openssl x509 -in trusted.crt -out ca.crt",
    "CERTIFICATE REQUEST": "a request is no certificate yet; have the CA sign it and use what it returns",
    "NEW CERTIFICATE REQUEST": "a request is no certificate yet; have the CA sign it and use what it returns",
    "X509 CRL": "runtimes read no revocation lists; remove it",
    "PUBLIC KEY": "a public key alone is no certificate; use the certificate that holds it",
    "RSA PUBLIC KEY": "a public key alone is no certificate; use the certificate that holds it",
    "PKCS7": "convert it: openssl pkcs7 -in ca.p7b -print_certs -out ca.crt",
    "CMS": "convert it: openssl pkcs7 -in ca.p7b -print_certs -out ca.crt",
    "EC PARAMETERS": "remove it; it belongs before a private key, if anywhere",
    "DH PARAMETERS": "remove it",
}


def unexpected_label(block: Block, origin: Origin) -> UnusableMaterial:
    """Return the error for a block that is neither a certificate nor a private key, where certificates are read."""
    advice = _ADVICE.get(block.label, "remove it")
    gist = f"has the label {quote(block.label, 64)}, not {quote(CERTIFICATE)}; {advice}"
    return origin.refuse(Reason.INVALID_PEM, gist, block.where)

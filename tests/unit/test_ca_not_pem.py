"""What is no PEM of certificates at all: keys, other formats, nothing, and far too much (rows 63-66, 112, 123-127)."""

from __future__ import annotations

import base64
import gzip
import traceback
from functools import partial

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import attempt, check_presentable, check_refused, refused
from tools import pki
from tools.der import armour
from tools.pki import issue, root


def many_names(count: int) -> bytes:
    names = tuple(f"registry-{number}.corp.example" for number in range(count))
    return issue("Many Names", pki.curve_key(4), ca=True, names=names).pem


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        refused(
            "row 63: a private key among the CA certificates is refused",
            lambda: root().pem + pki.pkcs8(root().key),
            Reason.PRIVATE_KEY_IN_CA,
            "block 2 of 2, line 10: is a private key among the CA certificates; remove it, and replace "
            "that key if others can read this place. A client's key belongs in clientCertificates, a "
            "CA's key nowhere near a node",
        ),
        refused(
            "row 64: a certificate request is refused",
            lambda: armour(b"\x30\x00", "CERTIFICATE REQUEST"),
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "CERTIFICATE REQUEST", not "CERTIFICATE"; a request is '
            "not a certificate yet; have the CA sign it and use what it returns",
        ),
        refused(
            "row 64: a revocation list is refused",
            lambda: armour(b"\x30\x00", "X509 CRL"),
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "X509 CRL", not "CERTIFICATE"; runtimes read no '
            "revocation lists; remove it",
        ),
        refused(
            "row 64: a public key is refused",
            lambda: armour(pki.spki(root().key), "PUBLIC KEY"),
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "PUBLIC KEY", not "CERTIFICATE"; a public key alone is '
            "not a certificate; use the certificate that holds it",
        ),
        refused(
            "row 64: PKCS#7 in PEM is refused",
            lambda: armour(b"\x30\x00", "PKCS7"),
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "PKCS7", not "CERTIFICATE"; convert it: openssl pkcs7 '
            "-in ca.p7b -print_certs -out ca.crt",
        ),
        refused(
            "row 65: an empty value is refused",
            lambda: b"",
            Reason.EMPTY_DATA,
            "is empty; put the CA certificate of the registry there, as PEM",
        ),
        refused(
            "row 65: white space alone is refused",
            lambda: b" \n\t\n",
            Reason.EMPTY_DATA,
            "is empty; put the CA certificate of the registry there, as PEM",
        ),
        refused(
            "row 65: the word null is refused",
            lambda: b"null\n",
            Reason.EMPTY_DATA,
            "is empty; put the CA certificate of the registry there, as PEM",
        ),
        refused(
            "row 65: an empty object is refused",
            lambda: b"{}",
            Reason.EMPTY_DATA,
            "is empty; put the CA certificate of the registry there, as PEM",
        ),
        refused(
            "row 66: DER is refused",
            lambda: root().der,
            Reason.INVALID_PEM,
            "holds no PEM block: looks like a certificate in DER; convert it: openssl x509 -inform der "
            "-in ca.der -out ca.crt",
        ),
        refused(
            "row 66: PKCS#12 is refused",
            lambda: pkcs12.serialize_key_and_certificates(
                b"ca", root().key, root().certificate, None, serialization.NoEncryption()
            ),
            Reason.INVALID_PEM,
            "holds no PEM block: looks like PKCS#12; convert it: openssl pkcs12 -in ca.p12 -nokeys -out ca.crt",
        ),
        refused(
            "row 66: a Java key store is refused",
            lambda: b"\xfe\xed\xfe\xed\0\0\0\2",
            Reason.INVALID_PEM,
            "holds no PEM block: looks like a Java key store (JKS); convert it: keytool -exportcert -rfc "
            "-alias ALIAS -keystore ca.jks -file ca.crt",
        ),
        refused(
            "row 66: gzip is refused",
            lambda: gzip.compress(root().pem),
            Reason.INVALID_PEM,
            "holds no PEM block: looks like gzip; convert it: gunzip < ca.gz > ca.crt",
        ),
        refused(
            "row 66: base64 of PEM is refused",
            lambda: base64.b64encode(root().pem),
            Reason.INVALID_PEM,
            "holds no PEM block: looks like base64 of PEM; convert it: base64 -d < ca.txt > ca.crt (in a "
            "Secret, PEM belongs in stringData, or its base64, made once, in data)",
        ),
        refused(
            "row 66: base64 of DER is refused",
            lambda: base64.encodebytes(root().der),
            Reason.INVALID_PEM,
            "holds no PEM block: looks like base64 of a certificate in DER; convert it: base64 -d < "
            "ca.txt > ca.der; openssl x509 -inform der -in ca.der -out ca.crt (in a Secret, PEM belongs "
            "in stringData, or its base64, made once, in data)",
        ),
        refused(
            "row 66: the two characters backslash and n are refused",
            lambda: root().pem.replace(b"\n", b"\\n"),
            Reason.INVALID_PEM,
            "line 1: holds the two characters \\n instead of line breaks; write real ones: printf '%b' "
            '"$PEM" > ca.crt',
        ),
        refused(
            "row 66: line breaks that became spaces are refused",
            lambda: root().pem.replace(b"\n", b" "),
            Reason.INVALID_PEM,
            "line 1: there is more on the BEGIN line than the marker; start the base64 text on a line of its own",
        ),
        refused(
            "row 66: plain words are refused",
            lambda: b"see the wiki",
            Reason.INVALID_PEM,
            "holds no PEM block; it must hold -----BEGIN CERTIFICATE----- lines or the like, as text",
        ),
        refused(
            "row 112: bytes that are no text are refused",
            lambda: bytes(range(128, 256)),
            Reason.INVALID_PEM,
            "holds no PEM block; it must hold -----BEGIN CERTIFICATE----- lines or the like, as text",
        ),
        *(
            refused(
                f"row 66: {kind} is refused",
                partial(bytes, text),
                Reason.INVALID_PEM,
                f"holds no PEM block: looks like {kind}; put the CA certificate there, as PEM text",
            )
            for kind, text in (
                ("HTML or XML, perhaps an error page", b"<!DOCTYPE html><html>404</html>"),
                ("an address", b"https://pki.corp.example/ca.crt"),
                ("the path of a file", b"/etc/ssl/certs/ca.pem"),
            )
        ),
        refused(
            "row 123: 330,001 bytes are refused unread",
            lambda: b"#" * 330_001,
            Reason.TOO_LARGE,
            "330,001 bytes, at most 330,000 are read; give only the CA certificates that the registry "
            "needs, or split them among several sources",
        ),
        refused(
            "row 124: 10,000 certificates are refused unread",
            lambda: root().pem * 10_000,
            Reason.TOO_LARGE,
            "4,930,000 bytes, at most 330,000 are read; give only the CA certificates that the "
            "registry needs, or split them among several sources",
        ),
        refused(
            "row 125: a MiB of BEGIN lines is refused unread",
            lambda: b"-----BEGIN \n" * 87_382,
            Reason.TOO_LARGE,
            "1,048,584 bytes, at most 330,000 are read; give only the CA certificates that the "
            "registry needs, or split them among several sources",
        ),
        refused(
            "row 124: 301 blocks are refused unread",
            lambda: b"-----BEGIN CERTIFICATE-----\n" * 301,
            Reason.TOO_LARGE,
            "301 PEM blocks, at most 300 are read; give only the CA certificates that the registry "
            "needs, or split them among several sources",
        ),
        refused(
            "row 125: BEGIN lines below the limit are refused",
            lambda: b"-----BEGIN CERTIFICATE-----\n" * 300,
            Reason.INVALID_PEM,
            "certificate 1 of 300, line 1, to line 2: has no END line before the next BEGIN; copy it again, whole",
        ),
        refused(
            "row 127: one certificate with thousands of names is refused",
            lambda: many_names(1_500),
            Reason.TOO_LARGE,
            "certificate 1 of 1, line 1: 41,216 bytes in DER, at most 27,000 are read; have it issued with fewer names",
        ),
        refused(
            "row 125: header lines up to the limit are refused",
            lambda: b"-----BEGIN CERTIFICATE-----\n" + b"a: b\n" * 65_000,
            Reason.INVALID_PEM,
            "certificate 1 of 1, line 1: has header lines, for which runtimes drop the block; take them "
            "out: grep -v : old.pem > ca.crt",
        ),
        refused(
            "row 125: one line up to the limit is refused",
            lambda: b"A" * 330_000,
            Reason.INVALID_PEM,
            "holds no PEM block; it must hold -----BEGIN CERTIFICATE----- lines or the like, as text",
        ),
        refused(
            "row 127: 30,000 names are refused unread",
            lambda: many_names(12_000),
            Reason.TOO_LARGE,
            "456,712 bytes, at most 330,000 are read; give only the CA certificates that the registry "
            "needs, or split them among several sources",
        ),
    ],
)
def test_refused(data, reason, message):
    check_refused(data(), reason, message)


def test_no_byte_of_a_private_key_is_in_the_error():
    key = pki.pkcs8(pki.curve_key(99))
    for data in (root().pem + key, key, key.replace(b"\n", b" "), key.rstrip() + root().pem, key[:-30]):
        error = attempt(data)
        assert isinstance(error, UnusableMaterial)
        shown = "".join(traceback.format_exception(error)) + repr(error.args)

        assert not any(line.decode()[:16] in shown for line in key.splitlines()[1:-1])
        check_presentable(error)

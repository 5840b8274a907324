"""What is not PEM of certificates at all: keys, other formats, nothing, too much."""

from __future__ import annotations

import base64
import gzip
from functools import partial

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from registry_trust.core.reasons import Reason
from tools import pki
from tools.der import armour
from tools.messages.cases import Table, refused
from tools.pki import issue, root


def many_names(count: int) -> bytes:
    names = tuple(f"registry-{number}.corp.example" for number in range(count))
    return issue("Many Names", pki.curve_key(4), ca=True, names=names).pem


REFUSED: Table = (
    refused(
        "a private key among the CA certificates is refused",
        lambda: root().pem + pki.pkcs8(root().key),
        Reason.PRIVATE_KEY_IN_CA,
    ),
    refused(
        "a certificate request is refused",
        lambda: armour(b"\x30\x00", "CERTIFICATE REQUEST"),
        Reason.INVALID_PEM,
    ),
    refused("a revocation list is refused", lambda: armour(b"\x30\x00", "X509 CRL"), Reason.INVALID_PEM),
    refused("a public key is refused", lambda: armour(pki.spki(root().key), "PUBLIC KEY"), Reason.INVALID_PEM),
    refused("PKCS#7 in PEM is refused", lambda: armour(b"\x30\x00", "PKCS7"), Reason.INVALID_PEM),
    refused("an empty value is refused", lambda: b"", Reason.EMPTY_DATA),
    refused("white space alone is refused", lambda: b" \n\t\n", Reason.EMPTY_DATA),
    refused("the word null is refused", lambda: b"null\n", Reason.EMPTY_DATA),
    refused("an empty object is refused", lambda: b"{}", Reason.EMPTY_DATA),
    refused("DER is refused", lambda: root().der, Reason.INVALID_PEM),
    refused(
        "PKCS#12 is refused",
        lambda: pkcs12.serialize_key_and_certificates(
            b"ca", root().key, root().certificate, None, serialization.NoEncryption()
        ),
        Reason.INVALID_PEM,
    ),
    refused("a Java key store is refused", lambda: b"\xfe\xed\xfe\xed\0\0\0\2", Reason.INVALID_PEM),
    refused("gzip is refused", lambda: gzip.compress(root().pem), Reason.INVALID_PEM),
    refused("base64 of PEM is refused", lambda: base64.b64encode(root().pem), Reason.INVALID_PEM),
    refused("base64 of DER is refused", lambda: base64.encodebytes(root().der), Reason.INVALID_PEM),
    refused(
        "the two characters backslash and n are refused",
        lambda: root().pem.replace(b"\n", b"\\n"),
        Reason.INVALID_PEM,
    ),
    refused(
        "line breaks that became spaces are refused",
        lambda: root().pem.replace(b"\n", b" "),
        Reason.INVALID_PEM,
    ),
    refused("plain words are refused", lambda: b"see the wiki", Reason.INVALID_PEM),
    refused("bytes that are no text are refused", lambda: bytes(range(128, 256)), Reason.INVALID_PEM),
    *(
        refused(f"{kind} is refused", partial(bytes, text), Reason.INVALID_PEM)
        for kind, text in (
            ("HTML or XML, perhaps an error page", b"<!DOCTYPE html><html>404</html>"),
            ("a URL", b"https://pki.corp.example/ca.crt"),
            ("the path of a file", b"/etc/ssl/certs/ca.pem"),
        )
    ),
    refused("330,001 bytes are refused unread", lambda: b"#" * 330_001, Reason.TOO_LARGE),
    refused("10,000 certificates are refused unread", lambda: root().pem * 10_000, Reason.TOO_LARGE),
    refused("a MiB of BEGIN lines is refused unread", lambda: b"-----BEGIN \n" * 87_382, Reason.TOO_LARGE),
    refused("301 blocks are refused unread", lambda: b"-----BEGIN CERTIFICATE-----\n" * 301, Reason.TOO_LARGE),
    refused(
        "BEGIN lines below the limit are refused",
        lambda: b"-----BEGIN CERTIFICATE-----\n" * 300,
        Reason.INVALID_PEM,
    ),
    refused("one certificate with thousands of names is refused", lambda: many_names(1_500), Reason.TOO_LARGE),
    refused(
        "header lines up to the limit are refused",
        lambda: b"-----BEGIN CERTIFICATE-----\n" + b"a: b\n" * 65_000,
        Reason.INVALID_PEM,
    ),
    refused("one line up to the limit is refused", lambda: b"A" * 330_000, Reason.INVALID_PEM),
    refused("30,000 names are refused unread", lambda: many_names(12_000), Reason.TOO_LARGE),
)

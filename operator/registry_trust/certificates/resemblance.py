"""Resemblance: what a value without PEM blocks looks like, and the command that makes PEM of it."""

from __future__ import annotations

import base64
import binascii
import re

_TO_PEM = "openssl x509 -inform der -in ca.der -out ca.crt"
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")

_STARTS = (
    (b"\x1f\x8b", "gzip", "unpack it: gunzip < ca.gz > ca.crt"),
    (b"\xfe\xed\xfe\xed", "a Java key store (JKS)", "convert it: keytool -exportcert -rfc -alias ALIAS -keystore ca.jks"),
    (b"\xce\xce\xce\xce", "a Java key store (JCEKS)", "convert it: keytool -exportcert -rfc -alias ALIAS -keystore ca.jks"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it: unzip ca.zip"),
    (b"ssh-", "an SSH public key", "give the certificate instead"),
    (b"{", "JSON", "give the PEM text itself"),
)


def resemblance(data: bytes) -> str:
    """Return `: looks like X; do Y` for a value that holds no PEM block; never a byte of it."""
    for start, kind, advice in _STARTS:
        if data.startswith(start):
            return f": looks like {kind}; {advice}"
    if data[:1] == b"\x30" and len(data) > 2 and data[1] & 0x80:
        # PFX starts with its version, the INTEGER 3; a certificate starts with a SEQUENCE.
        inner = 2 + (data[1] & 0x7F)
        if data[inner : inner + 3] == b"\x02\x01\x03":
            return ": looks like PKCS#12; convert it: openssl pkcs12 -in ca.p12 -nokeys -out ca.crt"
        if data[inner : inner + 1] == b"\x02":
            return ": looks like a private key in DER; convert it: openssl pkey -inform der -in key.der -out client.key"
        if data[inner : inner + 2] == b"\x06\x09":
            return ": looks like PKCS#7 in DER; convert it: openssl pkcs7 -inform der -in ca.p7b -print_certs -out ca.crt"
        return f": looks like DER; convert it: {_TO_PEM}"
    if _BASE64.fullmatch(data):
        decoded = _decoded(data)
        if b"-----BEGIN " in decoded:
            return ": looks like base64 of PEM, encoded once too often; put the PEM itself into the Secret's stringData"
        if decoded[:1] == b"\x30":
            return f": looks like base64 of DER without its BEGIN and END lines; convert it: base64 -d < ca.txt | {_TO_PEM}"
    return "; it must hold -----BEGIN CERTIFICATE----- lines or the like, as text"


def _decoded(data: bytes) -> bytes:
    text = b"".join(data.split())
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""

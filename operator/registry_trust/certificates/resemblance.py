"""Resemblance: what a value without PEM blocks looks like, and the command that makes PEM of it."""

from __future__ import annotations

import base64
import binascii
import re

_TO_PEM = "openssl x509 -inform der -in ca.der -out ca.crt"
_KEYTOOL = "convert it: keytool -exportcert -rfc -alias ALIAS -keystore ca.jks"
_ITSELF = "give the PEM text itself"
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")

_STARTS = (
    (b"\x1f\x8b", "gzip", "unpack it: gunzip < ca.gz > ca.crt"),
    (b"\xfe\xed\xfe\xed", "a Java key store (JKS)", _KEYTOOL),
    (b"\xce\xce\xce\xce", "a Java key store (JCEKS)", _KEYTOOL),
    (b"PK\x03\x04", "a ZIP archive", "unpack it: unzip ca.zip"),
    (b"ssh-", "an SSH public key", "give the certificate instead"),
    (b"{", "JSON", _ITSELF),
    (b"<", "HTML or XML, perhaps an error page", _ITSELF),
    (b"http://", "an address", _ITSELF),
    (b"https://", "an address", _ITSELF),
    (b"/", "the path of a file", _ITSELF),
)


def resemblance(data: bytes) -> str:
    """Return `: looks like X; do Y` for a value that holds no PEM block; never a byte of it."""
    kind, advice = _known_start(data) or _der(data) or _base64(data) or ("", "")
    if kind:
        return f": looks like {kind}; {advice}"
    return "; it must hold -----BEGIN CERTIFICATE----- lines or the like, as text"


def _known_start(data: bytes) -> tuple[str, str] | None:
    return next(((kind, advice) for start, kind, advice in _STARTS if data.startswith(start)), None)


def _der(data: bytes) -> tuple[str, str] | None:
    if len(data) < 3 or data[0] != 0x30 or not data[1] & 0x80:
        return None
    # PFX starts with its version, the INTEGER 3; a private key with another one; PKCS#7 with an OID.
    start = data[2 + (data[1] & 0x7F) :][:3]
    if start == b"\x02\x01\x03":
        return "PKCS#12", "convert it: openssl pkcs12 -in ca.p12 -nokeys -out ca.crt"
    if start[:1] == b"\x02":
        return "a private key in DER", "convert it: openssl pkey -inform der -in key.der -out client.key"
    if start[:2] == b"\x06\x09":
        return "PKCS#7 in DER", "convert it: openssl pkcs7 -inform der -in ca.p7b -print_certs -out ca.crt"
    return "DER", f"convert it: {_TO_PEM}"


def _base64(data: bytes) -> tuple[str, str] | None:
    if not _BASE64.fullmatch(data):
        return None
    text = b"".join(data.split())
    try:
        decoded = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    if b"-----BEGIN " in decoded:
        return "base64 of PEM, encoded once too often", "put the PEM itself into the Secret's stringData"
    if decoded[:1] == b"\x30":
        return "base64 of DER without BEGIN and END lines", f"convert it: base64 -d < ca.txt > ca.der; {_TO_PEM}"
    return None

"""Resemblance: what a value or a block looks like that is not what belongs there, and the command that converts it."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from registry_trust.certificates.kinds import DocumentKind, kind_of
from registry_trust.certificates.origin import Door
from registry_trust.certificates.outside import KEY_AMONG_CAS
from registry_trust.core.reasons import Reason

_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")
_ROUNDS = 3
"""Times that base64 is undone: whoever encodes by hand what a tool encodes too has two."""

WANTED = {
    Door.CA: "the CA certificate",
    Door.CLIENT_CERTIFICATE: "the client certificate",
    Door.CLIENT_KEY: "the private key",
}
KEYS = (DocumentKind.KEY, DocumentKind.LOCKED_KEY)
_CERTIFICATES = (Door.CA, Door.CLIENT_CERTIFICATE)

_STARTS = (
    (b"\x1f\x8b", "gzip", "gz", "gunzip < {stem}.gz > {out}"),
    (b"\xfe\xed\xfe\xed", "a Java key store (JKS)", "jks", ""),
    (b"\xce\xce\xce\xce", "a Java key store (JCEKS)", "jks", ""),
    (b"PK\x03\x04", "a ZIP archive", "zip", "unzip {stem}.zip"),
    (b"ssh-", "an SSH public key", "", ""),
    (b"{", "JSON", "", ""),
    (b"<", "HTML or XML, perhaps an error page", "", ""),
    (b"http://", "a URL", "", ""),
    (b"https://", "a URL", "", ""),
    (b"/", "the path of a file", "", ""),
)
_KEY_STORE = {
    Door.CA: "keytool -exportcert -rfc -alias ALIAS -keystore ca.jks -file ca.crt",
    Door.CLIENT_CERTIFICATE: "keytool -exportcert -rfc -alias ALIAS -keystore client.jks -file client.crt",
    Door.CLIENT_KEY: "keytool -importkeystore -srckeystore client.jks -destkeystore client.p12 -deststoretype PKCS12; "
    "openssl pkcs12 -in client.p12 -nocerts -noenc -out client.key",
}

_COMMANDS: dict[DocumentKind, tuple[str, dict[Door, str]]] = {
    DocumentKind.CERTIFICATE: (
        "der",
        dict.fromkeys(_CERTIFICATES, "openssl x509 -inform der -in {stem}.der -out {out}"),
    ),
    DocumentKind.PKCS7: (
        "p7b",
        dict.fromkeys(_CERTIFICATES, "openssl pkcs7 -inform der -in {stem}.p7b -print_certs -out {out}"),
    ),
    DocumentKind.PKCS12: (
        "p12",
        {
            **dict.fromkeys(_CERTIFICATES, "openssl pkcs12 -in {stem}.p12 -nokeys -out {out}"),
            Door.CLIENT_KEY: "openssl pkcs12 -in {stem}.p12 -nocerts -noenc -out {out}",
        },
    ),
    DocumentKind.KEY: ("der", {Door.CLIENT_KEY: "openssl pkey -inform der -in {stem}.der -out {out}"}),
    DocumentKind.LOCKED_KEY: ("der", {Door.CLIENT_KEY: "openssl pkey -inform der -in {stem}.der -out {out}"}),
}
"""For each kind the ending of its files, and the command that makes what is wanted of it, where there is one."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What something looks like; `ending` of a file that holds it, the `command` that converts that, or neither."""

    what: str
    ending: str = ""
    command: str = ""
    kind: DocumentKind | None = None


def likeness(data: bytes, door: Door, rounds: int = _ROUNDS) -> Likeness | None:
    """Return what a value without PEM blocks looks like, or None; never a byte of it."""
    for start, what, ending, command in _STARTS:
        if data.startswith(start):
            return Likeness(what, ending, (_KEY_STORE[door] if ending == "jks" else _filled(command, door)))
    kind = kind_of(data)
    if kind is not None:
        ending, commands = _COMMANDS.get(kind, ("der", {}))
        what = kind.value if kind is DocumentKind.PKCS12 else f"{kind} in DER"
        return Likeness(what, ending, _filled(commands.get(door, ""), door), kind)
    return _encoded(data, door, rounds)


def _filled(command: str, door: Door) -> str:
    return command.format(stem=door.stem, out=door.value)


def _encoded(data: bytes, door: Door, rounds: int) -> Likeness | None:
    if not rounds or not _BASE64.fullmatch(data):
        return None
    text = b"".join(data.split())
    try:
        decoded = base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return None
    if b"-----BEGIN " in decoded:
        return Likeness("base64 of PEM", "txt", f"base64 -d < {door.stem}.txt > {door}", _kind_in_pem(decoded))
    inner = likeness(decoded, door, rounds - 1)
    if inner is None or not inner.ending:
        return None
    if inner.ending == "txt":
        command = inner.command.replace(" > ", " | base64 -d > ", 1)
        return Likeness(f"base64 of {inner.what}", "txt", command, inner.kind)
    first = f"base64 -d < {door.stem}.txt > {door.stem}.{inner.ending}"
    return Likeness(f"base64 of {inner.what}", "txt", f"{first}; {inner.command}" if inner.command else "", inner.kind)


def _kind_in_pem(text: bytes) -> DocumentKind | None:
    return DocumentKind.KEY if b"PRIVATE KEY-----" in text else None


def resemblance(data: bytes, door: Door, place: str) -> tuple[Reason, str]:
    """Return reason and sentence for a value that holds no PEM block."""
    nothing = "contains no PEM block"
    found = likeness(data, door)
    if found is None:
        label = "PRIVATE KEY" if door is Door.CLIENT_KEY else "CERTIFICATE"
        return Reason.INVALID_PEM, f"{nothing}; it must contain -----BEGIN {label}----- lines or similar, as text"
    gist = f"{nothing}: looks like {found.what}"
    if door is Door.CA and found.kind in KEYS:
        return Reason.PRIVATE_KEY_IN_CA, f"{gist}, among the CA certificates; {KEY_AMONG_CAS}"
    if not found.command:
        return Reason.INVALID_PEM, f"{gist}; put {WANTED[door]} there, as PEM text"
    hint = " (in a Secret, PEM belongs in stringData, or its base64, made once, in data)"
    encoded = found.ending == "txt" and place.startswith("Secret ")
    return Reason.INVALID_PEM, f"{gist}; convert it: {found.command}{hint if encoded else ''}"


def inside_block(content: bytes, door: Door) -> Likeness | None:
    """Return what is between BEGIN and END lines where DER belongs: PEM or base64 once more; None for anything else."""
    body = "sed '/^-----/d' old.pem | base64 -d"
    if b"-----BEGIN " in content:
        return Likeness("PEM, encoded once more,", "txt", f"{body} > {door}", _kind_in_pem(content))
    found = _encoded(content, door, _ROUNDS - 1)
    if found is None:
        return None
    command = found.command.replace(f"base64 -d < {door.stem}.txt", f"{body} | base64 -d", 1)
    return Likeness(f"{found.what}, encoded once more,", "txt", command, found.kind)

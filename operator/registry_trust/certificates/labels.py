"""Labels: PEM blocks that are not what was expected, by their label or by what is inside, and what to do about it."""

from __future__ import annotations

from registry_trust.certificates.kinds import DocumentKind, kind_of
from registry_trust.certificates.origin import Door, Origin
from registry_trust.certificates.outside import KEY_AMONG_CAS
from registry_trust.certificates.pem import CERTIFICATE, Block, split
from registry_trust.certificates.resemblance import KEYS, WANTED, Likeness, inside_block, likeness
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

ALL_CERTIFICATES = "openssl crl2pkcs7 -nocrl -certfile {old} | openssl pkcs7 -print_certs -out {new}"
"""The command that takes every certificate out of a PEM file, in order (`openssl x509` takes the first one alone)."""

_REQUEST = "a request is not a certificate yet; have the CA sign it and use what it returns"
_CONVERTED = "runtimes drop it; convert it: " + ALL_CERTIFICATES
_PKCS7 = "convert it: openssl pkcs7 -in {stem}.p7b -print_certs -out {new}"
_ADVICE = {
    "X509 CERTIFICATE": _CONVERTED,
    "TRUSTED CERTIFICATE": _CONVERTED,
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "X509 CRL": "runtimes do not read revocation lists; remove it",
    "PUBLIC KEY": "a public key alone is not a certificate; use the certificate that holds it",
    "RSA PUBLIC KEY": "a public key alone is not a certificate; use the certificate that holds it",
    "PKCS7": _PKCS7,
    "CMS": "convert it: sed 's/ CMS-----/ PKCS7-----/' {old} | openssl pkcs7 -print_certs -out {new}",
    "EC PARAMETERS": "remove it; it belongs before a private key, if anywhere",
    "DH PARAMETERS": "remove it",
}


def read_blocks(data: bytes, origin: Origin) -> tuple[Block, ...]:
    """Split PEM text into blocks whose content is of the kind that their label says, as far as can be told.

    Raises:
        UnusableMaterial: InvalidPEM, PrivateKeyInCA, Swapped or KeyParse.
    """
    blocks = split(data, origin)
    for block in blocks:
        expected = KEYS if block.is_private_key else (DocumentKind.CERTIFICATE,)
        if block.encrypted or not (block.is_private_key or block.label == CERTIFICATE):
            continue
        found = _content(block.content, origin.door)
        if found is not None and (found.kind not in expected or found.ending == "txt"):
            raise _misplaced(block, found, origin)
    return blocks


def _content(content: bytes, door: Door) -> Likeness | None:
    if kind_of(content) is None:
        return inside_block(content, door)
    return likeness(content, door)


def _misplaced(block: Block, found: Likeness, origin: Origin) -> UnusableMaterial:
    door = origin.door
    kind = found.kind
    what = kind.value if kind is not None and found.ending != "txt" else found.what
    gist = f"is {what} between {block.label} lines"
    wanted = kind in KEYS if door is Door.CLIENT_KEY else kind is DocumentKind.CERTIFICATE
    if kind in KEYS and door is Door.CA:
        return origin.refuse(
            Reason.PRIVATE_KEY_IN_CA, f"{gist}, among the CA certificates; {KEY_AMONG_CAS}", block.where
        )
    if wanted and found.ending == "der":
        label = "PRIVATE KEY" if door is Door.CLIENT_KEY else CERTIFICATE
        advice = f"correct them: sed 's/{block.label}-----/{label}-----/' old.pem > {door}"
    elif (
        kind is DocumentKind.PKCS7
        and block.label == CERTIFICATE
        and door is not Door.CLIENT_KEY
        and found.ending == "p7b"
    ):
        advice = _PKCS7.format(stem=door.stem, new=door)
    elif found.command:
        first = "" if found.ending == "txt" else f"sed '/^-----/d' old.pem | base64 -d > {door.stem}.{found.ending}; "
        advice = f"convert it: {first}{found.command}"
    else:
        advice = f"put {WANTED[door]} there"
    swapped = kind is DocumentKind.CERTIFICATE if door is Door.CLIENT_KEY else kind in KEYS
    reason = Reason.KEY_PARSE if door is Door.CLIENT_KEY else Reason.INVALID_PEM
    return origin.refuse(Reason.SWAPPED if swapped else reason, f"{gist}; {advice}", block.where)


def unexpected_label(block: Block, origin: Origin) -> UnusableMaterial:
    """Return the error for a block that is neither a certificate nor a private key, where certificates are read."""
    advice = _ADVICE.get(block.label, "remove it").format(old="old.pem", stem=origin.door.stem, new=origin.door)
    gist = f"has the label {quote(block.label, 64)}, not {quote(CERTIFICATE)}; {advice}"
    return origin.refuse(Reason.INVALID_PEM, gist, block.where)

"""A chain that a server showed in its handshake: which certificate vouches for which, and which could be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from registry_trust.certificates.certificate import Certificate, read_certificate
from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import CERTIFICATE, Block


class Role(StrEnum):
    """What a certificate of the chain is; the value is what messages call it."""

    OWN = "the registry's own certificate, issued by a CA"
    SELF_SIGNED = "the registry's own certificate, self-signed"
    INTERMEDIATE = "an intermediate CA that issued the certificate before it"
    ROOT = "the root CA that issued the certificate before it"
    UNRELATED = "not part of the chain: it did not issue what is before it"


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate of a chain, in the order that the server sent."""

    certificate: Certificate
    role: Role


def read_chain(chain: Sequence[bytes], place: str) -> tuple[Shown, ...]:
    """Return what each certificate of a chain is; the first is the server's own (RFC 8446 4.4.2).

    Issuers may stand in any order: each is looked for by its signature, from the server's own certificate upwards.

    Args:
        chain: DER of each certificate.
        place: how messages call the server.

    Raises:
        UnusableMaterial: a certificate can't be used by any runtime.
    """
    origin = Origin("", place)
    blocks = (Block(CERTIFICATE, der, number, len(chain), 0) for number, der in enumerate(chain, 1))
    read = [read_certificate(block, origin) for block in blocks]
    parsed = [x509.load_der_x509_certificate(der) for der in chain]
    roles = {0: Role.SELF_SIGNED if _issued(parsed[0], parsed[0]) else Role.OWN}
    top = 0
    while roles[top] in (Role.OWN, Role.INTERMEDIATE):
        issuers = (i for i in range(1, len(parsed)) if i not in roles and _vouches(read[i], parsed[i], parsed[top]))
        above = next(issuers, None)
        if above is None:
            break
        roles[above] = Role.ROOT if _issued(parsed[above], parsed[above]) else Role.INTERMEDIATE
        top = above
    return tuple(Shown(each, roles.get(number, Role.UNRELATED)) for number, each in enumerate(read))


def best(chain: Iterable[Shown]) -> Shown | None:
    """Return the certificate that is to be trusted by default: the highest issuer, or a self-signed server itself.

    None if the server shows only a certificate that some CA issued.
    """
    order = (Role.ROOT, Role.INTERMEDIATE, Role.SELF_SIGNED)
    usable = [shown for shown in chain if shown.role in order]
    highest = next((role for role in order if any(shown.role is role for shown in usable)), None)
    return next((shown for shown in reversed(usable) if shown.role is highest), None)


def _vouches(read: Certificate, issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    return read.structure.can_sign and _issued(issuer, subject)


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - names, algorithms and signatures: any error means that it did not
        return False
    return True

"""Client pairs: a certificate chain and its private key, refused unless every runtime can load the two together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from registry_trust.certificates.certificate import (
    RSA_MAXIMUM_BITS,
    Certificate,
    common_warnings,
    read_certificate,
)
from registry_trust.certificates.facts import CertificateFacts, CertificateKind, facts_of
from registry_trust.certificates.keys import ReadKey, read_private_key
from registry_trust.certificates.labels import ALL_CERTIFICATES, read_blocks, unexpected_label
from registry_trust.certificates.limits import CLIENT_CHAIN_BYTES, PRIVATE_KEY_BYTES, check_size, is_empty
from registry_trust.certificates.origin import Door, Origin
from registry_trust.certificates.pem import CERTIFICATE, Block, split
from registry_trust.certificates.private import PrivateKey
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.x509.extensions import ANY_USAGE, CLIENT_AUTH, SERVER_AUTH


@dataclass(frozen=True, slots=True)
class CheckedPair:
    """A client certificate chain (canonical PEM, leaf first, in the order given) and the private key of its leaf.

    `facts` has one entry for each certificate of the chain, in its order.
    """

    certificate: bytes
    key: PrivateKey
    facts: tuple[CertificateFacts, ...]
    warnings: tuple[Problem, ...]


def read_client_pair(
    certificate: bytes, key: bytes, *, field: str, certificate_place: str, key_place: str, now: datetime
) -> CheckedPair:
    """Read a client certificate with its private key.

    Args:
        certificate: PEM of the leaf and then its intermediates, at most 36,500 bytes.
        key: PEM of one unencrypted private key, at most 13,000 bytes.
        field: the path of the field that names the pair.
        certificate_place: where the certificate was read from, e.g. `Secret registry-trust/client key tls.crt`.
        key_place: where the key was read from.
        now: the time, aware.

    Raises:
        UnusableMaterial: EmptyData, PairIncomplete, TooLarge, InvalidPEM, Swapped, KeyAmbiguous, KeyEncrypted,
            KeyUnsupported, KeyParse, KeyMismatch, KeyUsage, CertificateParse, UnsupportedAlgorithm.
    """
    of_certificate = Origin(field, certificate_place, Door.CLIENT_CERTIFICATE)
    of_key = Origin(field, key_place, Door.CLIENT_KEY)
    check_size(certificate, CLIENT_CHAIN_BYTES, of_certificate)
    check_size(key, PRIVATE_KEY_BYTES, of_key)
    _check_both_there(certificate, key, of_certificate, of_key)
    certificate_blocks, key_blocks = read_blocks(certificate, of_certificate), read_blocks(key, of_key)
    _check_not_swapped(certificate_blocks, key_blocks, of_certificate, of_key)
    chain = _read_chain(certificate_blocks, of_certificate)
    read = read_private_key(_only_key(key_blocks, of_key), of_key)
    _check_match(chain, read, of_certificate)
    _check_purpose(chain[0], of_certificate)
    return CheckedPair(
        certificate=b"".join(link.pem for link in chain),
        key=read.key,
        facts=tuple(facts_of(link, CertificateKind.CLIENT) for link in chain),
        warnings=tuple(_warnings(chain, now, of_certificate)),
    )


def _check_both_there(certificate: bytes, key: bytes, of_certificate: Origin, of_key: Origin) -> None:
    if is_empty(certificate) and is_empty(key):
        raise of_certificate.refuse(
            Reason.EMPTY_DATA, "is empty; put the client certificate there and its key next to it"
        )
    if is_empty(certificate):
        raise of_certificate.refuse(
            Reason.PAIR_INCOMPLETE, "is empty; add the client certificate that belongs to the private key"
        )
    if is_empty(key):
        advice = "add its private key; if it is the CA of the registry, it belongs in caCertificates"
        if _is_authority(certificate, of_certificate):
            advice = "this is a CA certificate: it belongs in caCertificates"
        raise of_key.refuse(
            Reason.PAIR_INCOMPLETE, f"is empty, and a certificate without a key is not a client certificate; {advice}"
        )


def _is_authority(data: bytes, origin: Origin) -> bool:
    """Say whether the first certificate is a CA; what can't be read is none."""
    try:
        return read_certificate(split(data, origin)[0], origin).structure.can_sign
    except UnusableMaterial:
        return False


def _check_not_swapped(
    certificate_blocks: tuple[Block, ...], key_blocks: tuple[Block, ...], of_certificate: Origin, of_key: Origin
) -> None:
    certificates_in_key = [block for block in key_blocks if block.label == CERTIFICATE]
    keys_in_certificate = [block for block in certificate_blocks if block.is_private_key]
    keys_in_key = [block for block in key_blocks if block.is_private_key]
    certificates_in_certificate = [block for block in certificate_blocks if block.label == CERTIFICATE]
    if certificates_in_key and not keys_in_key:
        advice = "swap the two" if keys_in_certificate else "put the private key there"
        raise of_key.refuse(
            Reason.SWAPPED,
            f"contains a certificate where the private key belongs; {advice}",
            certificates_in_key[0].where,
        )
    if keys_in_certificate and not certificates_in_certificate:
        raise of_certificate.refuse(
            Reason.SWAPPED,
            "contains a private key where the certificate belongs; put the client certificate there",
            keys_in_certificate[0].where,
        )
    if keys_in_certificate:
        raise of_certificate.refuse(
            Reason.KEY_AMBIGUOUS,
            "is a private key among the certificates; leave only the certificates there: "
            + ALL_CERTIFICATES.format(old="client.pem", new="client.crt"),
            keys_in_certificate[0].where,
        )
    if certificates_in_key:
        raise of_key.refuse(
            Reason.KEY_AMBIGUOUS,
            "is a certificate next to the private key; leave only the key there: openssl pkey -in client.pem -out "
            "client.key",
            certificates_in_key[0].where,
        )


def _only_key(blocks: tuple[Block, ...], origin: Origin) -> Block:
    keys = [block for block in blocks if block.is_private_key]
    others = [block for block in blocks if not block.is_private_key and block.label != "EC PARAMETERS"]
    if others:
        raise origin.refuse(
            Reason.KEY_PARSE,
            f"has the label {quote(others[0].label, 64)}, which is not a private key; put only the private key there",
            others[0].where,
        )
    if not keys:
        raise origin.refuse(Reason.KEY_PARSE, "contains no private key; put the private key there", blocks[0].where)
    if len(keys) > 1:
        raise origin.refuse(
            Reason.KEY_AMBIGUOUS,
            f"holds {len(keys)} private keys; leave only the one that belongs to the certificate",
            keys[1].where,
        )
    return keys[0]


def _read_chain(blocks: tuple[Block, ...], origin: Origin) -> tuple[Certificate, ...]:
    for block in blocks:
        if block.label != CERTIFICATE:
            raise unexpected_label(block, origin)
    chain = tuple(read_certificate(block, origin) for block in blocks)
    for link in chain:
        if link.structure.key.name == "RSA" and link.structure.key.bits > RSA_MAXIMUM_BITS:
            raise origin.refuse(
                Reason.UNSUPPORTED_ALGORITHM,
                f"{quote(link.structure.subject)} has an RSA key of {link.structure.key.bits} bits, and Go's TLS "
                f"takes at most {RSA_MAXIMUM_BITS}; have it reissued",
                link.where,
            )
    return chain


def _check_match(chain: tuple[Certificate, ...], read: ReadKey, origin: Origin) -> None:
    if chain[0].structure.public_key_der == read.public_key_der:
        return
    for number, link in enumerate(chain[1:], 2):
        if link.structure.public_key_der == read.public_key_der:
            raise origin.refuse(
                Reason.KEY_MISMATCH,
                f"the private key belongs to certificate {number} of {len(chain)}, {quote(link.structure.subject)}; "
                "put that one first and its issuer after it",
                link.where,
            )
    ours, theirs = (hashlib.sha256(der).hexdigest() for der in (chain[0].structure.public_key_der, read.public_key_der))
    raise origin.refuse(
        Reason.KEY_MISMATCH,
        f"{quote(chain[0].structure.subject)} has another public key (SHA-256 {ours}) than the private key "
        f"({theirs}); use the two that belong together. To compare: openssl x509 -in client.crt -pubkey -noout; "
        "openssl pkey -in client.key -pubout",
        chain[0].where,
    )


def _check_purpose(leaf: Certificate, origin: Origin) -> None:
    """Refuse the pair of a CA or of a server: its key must not be on every node (cert-manager's issuers have such)."""
    found = leaf.structure.extensions
    subject = quote(leaf.structure.subject)
    if found.is_ca and found.is_said_to_sign:
        raise origin.refuse(
            Reason.KEY_USAGE,
            f"{subject} is a CA that issues certificates (CA:TRUE and keyCertSign), and its private key must not be "
            "on any node; name the Secret of a client certificate that it issued. To make nodes trust this CA, put "
            "only its certificate into caCertificates",
            leaf.where,
        )
    usages = set(found.extended_usages)
    if SERVER_AUTH in usages and not {CLIENT_AUTH, ANY_USAGE} & usages:
        raise origin.refuse(
            Reason.KEY_USAGE,
            f"{subject} is for servers only (serverAuth without clientAuth), and a server's private key must not be on "
            "every node; have a client certificate issued (cert-manager: usages: [client auth])",
            leaf.where,
        )


def _warnings(chain: tuple[Certificate, ...], now: datetime, origin: Origin) -> list[Problem]:
    leaf = chain[0].structure
    subject = quote(leaf.subject)
    warnings: list[Problem] = []
    usages = leaf.extensions.extended_usages
    if usages and not {CLIENT_AUTH, ANY_USAGE} & set(usages):
        gist = (
            f"{subject} is not for clientAuth by its extendedKeyUsage, so most registries reject it; have it reissued"
        )
        warnings.append(origin.warn(Reason.KEY_USAGE, gist, chain[0].where))
    if leaf.extensions.is_ca:
        gist = (
            f"{subject} is a CA certificate used as a client certificate: it works only if the registry trusts "
            "exactly this one; a certificate issued by a CA can be replaced without changing the registry"
        )
        warnings.append(origin.warn(Reason.KEY_USAGE, gist, chain[0].where))
    for link in chain:
        if link.structure.extensions.unhandled:
            gist = (
                f"{quote(link.structure.subject)} has a critical extension that a registry written in Go refuses "
                f"({listing(link.structure.extensions.unhandled)}); have it reissued without"
            )
            warnings.append(origin.warn(Reason.UNSUPPORTED_EXTENSION, gist, link.where))
        warnings.extend(common_warnings(link, now, origin))
    return warnings

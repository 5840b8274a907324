"""Specimens: certificates and pairs of every algorithm, size and shape that matters, the same in every run."""

from __future__ import annotations

import functools
import ipaddress
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from tools import der, pki
from tools.der import extension, handmade, oid, sequence, tlv
from tools.pki import Issued, issue

HOST = "harbor.corp.example"
REGISTRY = f"{HOST}:5000"
DEBIAN = Path("/etc/ssl/certs/ca-certificates.crt")

_SMALL_PRIMES = math.prod(n for n in range(3, 4000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key that follows from its size alone (and protects nothing)."""
    chance = random.Random(bits)  # noqa: S311 - the same key in every run is what is wanted

    def prime() -> int:
        while True:
            found = chance.getrandbits(bits // 2) | 3 << (bits // 2 - 2) | 1
            if (
                math.gcd(found, _SMALL_PRIMES) == 1
                and math.gcd(found - 1, 65537) == 1
                and pow(2, found - 1, found) == 1
            ):
                return found

    p, q = sorted((prime(), prime()), reverse=True)
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@functools.cache
def keys() -> dict[str, Any]:
    """A private key of each kind that a runtime may meet."""
    curves = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP224R1(), ec.SECP256K1(), ec.BrainpoolP256R1())
    found: dict[str, Any] = {curve.name: pki.curve_key(500, curve) for curve in curves}
    found["ed25519"] = pki.ed25519_key(5)
    return found | {f"rsa{bits}": rsa_key(bits) for bits in (1024, 2048, 3072, 4096)}


@dataclass(frozen=True)
class Specimen:
    """A certificate before anybody changed it; the key where the tests may sign with it."""

    name: str
    der: bytes
    key: Any = None


def authorities() -> Iterator[Specimen]:
    """Yield CA certificates, and what people mistake for them."""
    for name, key in keys().items():
        made = issue(f"CA {name}", key, ca=True, signs=True)
        yield Specimen(f"CA {name}", made.der, key)
    for name, made in _shapes().items():
        yield Specimen(name, made.der, made.key)
    yield from _handmade()


@functools.cache
def _shapes() -> dict[str, Issued]:
    key = pki.curve_key(510)
    parent = pki.root()
    constrained = x509.NameConstraints(
        [x509.DNSName("corp.example"), x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))],
        [x509.DNSName("evil.corp.example"), x509.RFC822Name("corp.test"), x509.UniformResourceIdentifier(".corp.test")],
    )
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.5923.1"), ["https://a.example"])]
    )
    points = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/ca.crl")], None, None, None)]
    )
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                x509.oid.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://o.example")
            )
        ]
    )
    identifiers = (
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key()), False),
    )
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName(HOST),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
            x509.RFC822Name("admin@corp.example"),
            x509.UniformResourceIdentifier("spiffe://corp.example/registry"),
            x509.DirectoryName(pki.name("Corp")),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        ]
    )
    return {
        "intermediate": issue("Issuing", key, issuer=parent, ca=True, signs=True, more=identifiers),
        "constrained": issue("Constrained", key, ca=True, more=((constrained, True),)),
        "with policies": issue("Policies", key, ca=True, more=((policies, False), (points, False), (access, False))),
        "with every name": issue("Names", key, ca=True, more=((names, False),)),
        "for servers": issue("Servers", key, ca=True, usages=(pki.SERVER_AUTH, pki.CLIENT_AUTH)),
        "for clients": issue("Clients", key, ca=True, usages=(pki.CLIENT_AUTH,)),
        "self-signed server": issue(HOST, key, ca=False, names=(HOST,), usages=(pki.SERVER_AUTH,)),
        "server of another CA": issue(HOST, key, issuer=parent, ca=False, names=(HOST,)),
        "without extensions": issue("Bare", key),
        "expired": issue("Old", key, ca=True, not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR),
        "of many attributes": _many_attributes(key),
        **{f"signed with {name}": _signed_with(name) for name in ("sha384", "sha512", "pss")},
    }


def _many_attributes(key: Any) -> Issued:
    pairs = (
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "Gesellschaft für X"),
        (NameOID.COMMON_NAME, "R"),
    )
    text = x509.Name([x509.NameAttribute(number, value) for number, value in pairs])
    builder = x509.CertificateBuilder(text, text, key.public_key(), 7, pki.NOW - pki.YEAR, pki.NOW + pki.YEAR)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Issued(builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True), key)


def _signed_with(name: str) -> Issued:
    key = rsa_key(2048)
    text = pki.name(f"Signed {name}")
    builder = x509.CertificateBuilder(text, text, key.public_key(), 9, pki.NOW - pki.YEAR, pki.NOW + pki.YEAR)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    digests: dict[str, Any] = {"sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    digest = digests.get(name, hashes.SHA256())
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 0) if name == "pss" else None
    return Issued(builder.sign(key, digest, rsa_padding=scheme), key)


def _handmade() -> Iterator[Specimen]:
    for bits in (512, 1023, 8192, 16384, 16392):
        yield Specimen(f"RSA {bits}", handmade(key=der.rsa_spki(bits)))
    for number, name in (("1.3.101.113", "Ed448"), ("1.2.840.10040.4.1", "DSA"), ("1.2.840.113549.1.1.10", "PSS key")):
        key = sequence(sequence(oid(number)), tlv(3, b"\x00", b"\x02\x01\x05"))
        yield Specimen(name, handmade(key=key))
    for tag, name in ((0x13, "PrintableString"), (0x14, "T61String"), (0x16, "IA5String"), (0x1E, "BMPString")):
        yield Specimen(name, handmade(subject=der.distinguished(b"\0A\0B" if tag == 0x1E else b"AB", tag)))
    yield Specimen("version 1", handmade(version=0))
    yield Specimen("serial 0", handmade(serial=b"\0"))
    yield Specimen("negative serial", handmade(serial=b"\x85"))
    yield Specimen("serial of 21 bytes", handmade(serial=b"\x01" * 21))
    yield Specimen("the year 9999", handmade(not_after=b"99991231235959Z"))
    for number, value, name in (
        ("2.5.29.36", sequence(tlv(0x80, b"\0")), "policyConstraints"),
        ("2.5.29.54", tlv(2, b"\0"), "inhibitAnyPolicy"),
        ("2.5.29.33", sequence(sequence(oid("1.2.3"), oid("1.2.4"))), "policyMappings"),
        ("1.3.6.1.5.5.7.1.24", sequence(tlv(2, b"\x05")), "TLS feature"),
        ("1.3.6.1.4.1.99999.1", b"\x05\x00", "an unknown extension"),
    ):
        for critical in (False, True):
            more = extension(number, value, critical=critical)
            yield Specimen(f"{name}{' critical' * critical}", handmade(extensions=(der.IS_CA, more)))


def public_roots() -> list[bytes]:
    """Return the PEM blocks of the machine's own public roots; none where there are no such."""
    text = DEBIAN.read_bytes() if DEBIAN.is_file() else b""
    return [block + b"-----END CERTIFICATE-----\n" for block in text.split(b"-----END CERTIFICATE-----\n")[:-1]]


def leaf_of(subject: bytes, key: Any) -> bytes:
    """Issue a server certificate for HOST under an issuer's name, byte for byte, with its key."""
    algorithm, sign = _signature(key)
    validity = sequence(tlv(0x17, b"260101000000Z"), tlv(0x17, b"270101000000Z"))
    names = extension("2.5.29.17", sequence(tlv(0x82, HOST.encode())))
    own = pki.spki(pki.curve_key(900))
    version, serial = tlv(0xA0, tlv(2, b"\x02")), tlv(2, b"\x09")
    extensions = tlv(0xA3, sequence(names))
    body = sequence(version, serial, algorithm, subject, validity, der.distinguished(b"leaf"), own, extensions)
    return sequence(body, algorithm, tlv(3, b"\0", sign(body)))


def _signature(key: Any) -> tuple[bytes, Any]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return sequence(oid("1.3.101.112")), key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        return der.RSA_SHA256, lambda body: key.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return der.ECDSA_SHA256, lambda body: key.sign(body, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


@functools.cache
def pairs() -> tuple[tuple[str, bytes, bytes], ...]:
    """Return name, chain and key of client pairs: every kind of key in every form, alone and with an intermediate."""
    issuer = issue("Issuing", pki.curve_key(511), issuer=pki.root(), ca=True, signs=True)
    found = []
    for name, key in keys().items():
        leaf = issue(f"node {name}", key, issuer=issuer, ca=False, usages=(pki.CLIENT_AUTH,))
        forms = {"PKCS#8": pki.pkcs8(key)}
        if name != "ed25519":
            forms["its own form"] = pki.traditional(key)
        for form, text in forms.items():
            found.append((f"{name} {form}", leaf.pem, text))
            found.append((f"{name} {form} chain", leaf.pem + issuer.pem, text))
    plain = serialization.NoEncryption()
    openssh = pki.client().key.private_bytes(pki.PEM, serialization.PrivateFormat.OpenSSH, plain)
    return (*found, ("OpenSSH", pki.client().pem, openssh))

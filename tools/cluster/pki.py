"""Makes throwaway certificate authorities, server certificates and client pairs."""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.cluster import canaries

MONTH = timedelta(days=30)
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Pair:
    """A certificate (with what follows it in its chain) and its unencrypted private key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str, *, certificate_suffix: str = ".crt") -> tuple[Path, Path]:
        """Writes NAME.crt and NAME.key (0600 from the first byte); returns both paths."""
        return (
            write_file(folder / f"{name}{certificate_suffix}", self.certificate),
            write_file(folder / f"{name}.key", self.key, mode=0o600),
        )


@dataclass(frozen=True)
class Authority:
    """A certificate authority that can sign."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(
        cls, common_name: str, *, key_usage: bool = True, now: datetime | None = None, lasts: timedelta = MONTH
    ) -> "Authority":
        """A self-signed root.

        Without `key_usage` it lacks that extension: Go accepts such a CA, and many clusters have one, but Python 3.13's
        `ssl.create_default_context` (VERIFY_X509_STRICT) refuses it.
        """
        key = _new_key()
        name = _name(common_name)
        builder = _builder(name, name, key.public_key(), now, lasts).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        if key_usage:
            builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True).add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pair(self) -> Pair:
        return Pair(self.pem, _key_pem(self.private_key))

    def server(self, names: Sequence[str], *, now: datetime | None = None, lasts: timedelta = MONTH) -> Pair:
        """For DNS names and IP addresses."""
        return self._issue(names[0], (), names, (_SERVER,), now, lasts)

    def client(
        self,
        common_name: str,
        organizations: Sequence[str] = (),
        *,
        now: datetime | None = None,
        lasts: timedelta = MONTH,
    ) -> Pair:
        """For a client; Kubernetes takes the organizations as groups."""
        return self._issue(common_name, organizations, (), (_CLIENT,), now, lasts)

    def node(self, common_name: str, names: Sequence[str]) -> Pair:
        """For a kubelet, which is both server and client."""
        return self._issue(common_name, ("system:nodes",), names, (_SERVER, _CLIENT), None, MONTH)

    def _issue(
        self,
        common_name: str,
        organizations: Sequence[str],
        names: Sequence[str],
        usages: Sequence[x509.ObjectIdentifier],
        now: datetime | None,
        lasts: timedelta,
    ) -> Pair:
        key = _new_key()
        builder = (
            _builder(_name(common_name, organizations), self.certificate.subject, key.public_key(), now, lasts)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.private_key.public_key()),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
        certificate = builder.sign(self.private_key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def signing_key() -> bytes:
    """A private key to sign service account tokens with, as SEC1 PEM: the API server reads no EC key in PKCS#8."""
    return _new_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def write_file(path: Path, content: bytes, *, mode: int = 0o644) -> Path:
    """Replaces a file in one step; it has its mode from the first byte."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    unfinished.replace(path)
    return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime | None, lasts: timedelta
) -> x509.CertificateBuilder:
    begins = (now or datetime.now(UTC)) - timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
    )


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    canaries.remember(key)
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

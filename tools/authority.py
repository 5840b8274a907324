"""Throwaway certificate authorities, as a cluster or a registry has them: new keys, valid from now, and their pairs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tools.cluster import canaries
from tools.pki import CLIENT_AUTH, SERVER_AUTH, Issued, issue, pkcs8

MONTH = timedelta(days=30)
BACKDATED = timedelta(minutes=5)
"""A certificate begins this long before the moment that it is given: clocks differ."""


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

    issued: Issued

    @classmethod
    def create(
        cls, common_name: str, *, key_usage: bool = True, now: datetime | None = None, lasts: timedelta = MONTH
    ) -> "Authority":
        """A self-signed root.

        Without `key_usage` it lacks that extension: Go accepts such a CA, and many clusters have one, but Python 3.13's
        `ssl.create_default_context` (VERIFY_X509_STRICT) refuses it.
        """
        key = _new_key()
        identifier = (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        begins = _begin(now)
        return cls(
            issue(
                common_name,
                key,
                ca=True,
                signs=key_usage or None,
                not_before=begins,
                not_after=begins + lasts,
                more=(identifier,) if key_usage else (),
                serial=x509.random_serial_number(),
            )
        )

    @property
    def certificate(self) -> x509.Certificate:
        return self.issued.certificate

    @property
    def pem(self) -> bytes:
        return self.issued.pem

    @property
    def pair(self) -> Pair:
        return Pair(self.pem, pkcs8(self.issued.key))

    def server(self, names: Sequence[str], *, now: datetime | None = None, lasts: timedelta = MONTH) -> Pair:
        """For DNS names and IP addresses."""
        return self._issue(names[0], names=names, usages=(SERVER_AUTH,), now=now, lasts=lasts)

    def client(
        self,
        common_name: str,
        organizations: Sequence[str] = (),
        *,
        now: datetime | None = None,
        lasts: timedelta = MONTH,
    ) -> Pair:
        """For a client; Kubernetes takes the organizations as groups."""
        return self._issue(common_name, organizations, usages=(CLIENT_AUTH,), now=now, lasts=lasts)

    def node(self, common_name: str, names: Sequence[str]) -> Pair:
        """For a kubelet, which is both server and client."""
        return self._issue(common_name, ("system:nodes",), names=names, usages=(SERVER_AUTH, CLIENT_AUTH))

    def _issue(
        self,
        common_name: str,
        organizations: Sequence[str] = (),
        *,
        usages: tuple[x509.ObjectIdentifier, ...],
        names: Sequence[str] = (),
        now: datetime | None = None,
        lasts: timedelta = MONTH,
    ) -> Pair:
        key = _new_key()
        begins = _begin(now)
        issued = issue(
            _name(common_name, organizations),
            key,
            issuer=self.issued,
            ca=False,
            signs=False,
            names=tuple(names),
            usages=usages,
            not_before=begins,
            not_after=begins + lasts,
            more=((x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issued.key.public_key()), False),),
            serial=x509.random_serial_number(),
        )
        return Pair(issued.pem, pkcs8(key))


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


def _begin(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)) - BACKDATED


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    canaries.remember(key)
    return key

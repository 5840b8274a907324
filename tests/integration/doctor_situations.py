"""Failures of "Why is my pull failing?" that files on a node can make, and what the doctor is to say of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization

from registry_trust.doctor.evidence import PullError
from tests.integration.doctored_node import (
    AUTHORITY,
    CLIENT,
    CONTAINERD,
    CRIO,
    DOCKER,
    OLD_CONTAINERD,
    OTHER,
    READS,
    REGISTRY,
    SPELLED,
    STRANGER,
    HostTree,
)


def started(tree: HostTree, seconds_ago: float) -> None:
    """Leave what systemd leaves when it starts containerd."""
    unit = "/run/systemd/units/invocation:containerd.service"
    tree.link(unit, os.urandom(16).hex())
    then = time.time() - seconds_ago
    os.utime(tree.at(unit), (then, then), follow_symlinks=False)


def encrypted(key: bytes) -> bytes:
    """Return a private key with a passphrase."""
    form, secret = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    return serialization.load_pem_private_key(key, None).private_bytes(serialization.Encoding.PEM, form, secret)


@dataclass(frozen=True)
class Situation:
    """A failure of the page, made on a node whose trust is right.

    Attributes:
        made: makes it, before the agent's pass.
        error: how the doctor says that a pull fails.
        reason: the reason of the one thing to do; empty without one.
        fix: words of the one thing to do.
        runtime: whose node it is.
        loader: words with which the runtime's loader refuses; empty where it loads something, and a pull fails later.
        after: makes it after the agent's pass.
    """

    made: Callable[[HostTree], object]
    error: PullError
    reason: str
    fix: str
    runtime: str = CONTAINERD
    loader: str = ""
    after: Callable[[HostTree], object] = lambda _: None


def legacy(tree: HostTree, more: str = "") -> None:
    """Configure containerd 1.7 with the tables of old."""
    tree.runtime = OLD_CONTAINERD
    registry = '[plugins."io.containerd.grpc.v1.cri".registry'
    mirrors = f"{registry}.mirrors.'other.example']\nendpoint = ['https://other.example']\n"
    tree.write("/etc/containerd/config.toml", f"version = 2\n{registry}]\n{more}{mirrors}")


UNKNOWN = PullError.UNKNOWN_AUTHORITY
SITUATIONS = {
    "config_path is empty": Situation(
        lambda tree: tree.write("/etc/containerd/config.toml", "version = 3\n"), UNKNOWN, "RootNotRead", "config_path"
    ),
    "config_path names another place": Situation(
        lambda tree: tree.write("/etc/containerd/config.toml", READS.replace("/etc/containerd/", "/etc/else/")),
        UNKNOWN,
        "RootNotRead",
        "/etc/else/certs.d",
    ),
    "containerd was not restarted": Situation(
        lambda tree: started(tree, seconds_ago=60), UNKNOWN, "RuntimeNotRestarted", "systemctl restart containerd"
    ),
    "somebody's directory in its place": Situation(
        lambda tree: tree.theirs(ca_crt=OTHER.pem), UNKNOWN, "ForeignFile", f"{SPELLED} is a directory"
    ),
    "an empty directory in its place": Situation(
        lambda tree: tree.theirs(), UNKNOWN, "ForeignFile", f"{SPELLED} is an empty directory"
    ),
    "another spelling": Situation(
        lambda tree: tree.write(f"/etc/containerd/certs.d/{REGISTRY}/ca.crt", OTHER.pem),
        UNKNOWN,
        "WouldShadow",
        f"certs.d/{REGISTRY}",
    ),
    "rootful.d, which comes first": Situation(
        lambda tree: tree.write(f"/etc/containers/certs.rootful.d/{REGISTRY}/ca.crt", OTHER.pem),
        UNKNOWN,
        "Shadowed",
        "certs.rootful.d",
        CRIO,
    ),
    "mirrors and config_path": Situation(
        lambda tree: legacy(tree, 'config_path = "/etc/containerd/certs.d"\n'),
        PullError.LEGACY_TABLES,
        "RuntimeUnknown",
        "registry.mirrors",
    ),
    "mirrors without config_path": Situation(legacy, UNKNOWN, "RootNotRead", "registry.mirrors"),
    "an empty CA file": Situation(
        lambda tree: tree.theirs(ca_crt=b""),
        PullError.CA_WITHOUT_CERTIFICATE,
        "ForeignFile",
        "Move it away",
        loader="unable to load CA cert",
    ),
    "text for a CA": Situation(
        lambda tree: tree.theirs(ca_crt=b"not a certificate\n"),
        PullError.CA_WITHOUT_CERTIFICATE,
        "ForeignFile",
        "Move it away",
        loader="unable to load CA cert",
    ),
    "a CA that is a link to nowhere": Situation(
        lambda tree: tree.link(f"{tree.root}/{SPELLED}/ca.crt", "/etc/pki/gone.crt"),
        PullError.CA_MISSING,
        "ForeignFile",
        "Move it away",
        loader="unable to read CA cert",
    ),
    "hosts.toml names a file that is gone": Situation(
        lambda tree: tree.theirs(hosts_toml=f'server = "https://{REGISTRY}"\nca = ["gone.crt"]\n[host]\n'),
        PullError.CA_MISSING,
        "ForeignFile",
        "Move it away",
        loader="unable to read CA cert",
    ),
    "a client certificate without a key": Situation(
        lambda tree: tree.theirs(client_cert=CLIENT.certificate),
        PullError.NOT_A_KEY,
        "ForeignFile",
        "Move it away",
        loader="found a certificate rather than a key",
    ),
    "a client pair without brackets of its own": Situation(
        lambda tree: tree.theirs(
            client_cert=CLIENT.certificate,
            client_key=CLIENT.key,
            hosts_toml=f'server = "https://{REGISTRY}"\nclient = ["client.cert", "client.key"]\n[host]\n',
        ),
        PullError.NOT_A_KEY,
        "ForeignFile",
        "Move it away",
        loader="found a certificate rather than a key",
    ),
    "dockerd: a client certificate without a key": Situation(
        lambda tree: tree.theirs(client_cert=CLIENT.certificate),
        PullError.NO_KEY,
        "ForeignFile",
        "Move it away",
        DOCKER,
        "missing key client.key for client certificate client.cert",
    ),
    "CRI-O: a client certificate without a key": Situation(
        lambda tree: tree.theirs(client_cert=CLIENT.certificate),
        PullError.NO_KEY,
        "ForeignFile",
        "Move it away",
        CRIO,
        "missing key client.key for client certificate client.cert",
    ),
    "dockerd: a key alone": Situation(
        lambda tree: tree.theirs(client_key=CLIENT.key),
        PullError.NO_CERTIFICATE,
        "ForeignFile",
        "Move it away",
        DOCKER,
        "missing client certificate client.cert for key client.key",
    ),
    "a key of another pair": Situation(
        lambda tree: tree.theirs(client_cert=CLIENT.certificate, client_key=STRANGER.key),
        PullError.MISMATCH,
        "ForeignFile",
        "Move it away",
        loader="private key does not match public key",
    ),
    "an empty client certificate": Situation(
        lambda tree: tree.theirs(client_cert=b"", client_key=CLIENT.key),
        PullError.NO_PEM,
        "ForeignFile",
        "Move it away",
        loader="failed to find any PEM data in certificate input",
    ),
    "an encrypted key": Situation(
        lambda tree: tree.theirs(client_cert=CLIENT.certificate, client_key=encrypted(CLIENT.key)),
        PullError.UNUSABLE_KEY,
        "ForeignFile",
        "Move it away",
        loader="failed to parse private key",
    ),
    "a file in its place": Situation(
        lambda tree: tree.write(f"{tree.root}/{SPELLED}", AUTHORITY.pem),
        PullError.NOT_A_DIRECTORY,
        "ForeignFile",
        "Move it away",
        loader="not a directory",
    ),
    "dockerd: a CA that is a directory": Situation(
        lambda tree: tree.at(f"{tree.root}/{REGISTRY}/ca.crt").mkdir(parents=True),
        PullError.A_DIRECTORY,
        "ForeignFile",
        "Move it away",
        DOCKER,
        "is a directory",
    ),
    "a hosts.toml that is not TOML": Situation(
        lambda tree: tree.theirs(hosts_toml="server = \n", ca_crt=OTHER.pem),
        PullError.INVALID_HOSTS,
        "ForeignFile",
        "Move it away",
    ),
    "the trust names another port": Situation(
        lambda tree: setattr(tree, "registry", "harbor.corp.example"), UNKNOWN, "", "Name harbor.corp.example,"
    ),
    "the entry was changed by hand": Situation(
        lambda _: None,
        PullError.CA_WITHOUT_CERTIFICATE,
        "NodePending",
        "see the agent's log",
        loader="unable to load CA cert",
        after=lambda tree: next(tree.at(tree.root).glob(f".registry-trust/{SPELLED}/*-1/ca.crt")).write_bytes(b""),
    ),
    "the entry is gone": Situation(
        lambda _: None,
        UNKNOWN,
        "NodePending",
        "see the agent's log",
        after=lambda tree: tree.at(f"{tree.root}/{SPELLED}").unlink(),
    ),
}
